"""Options of a task without it are refused, and what pictures are laid on is part of what a run is resumed with."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")
from dtool.data.images import Images  # noqa: E402
from dtool.data.latents import LatentImages  # noqa: E402
from dtool.errors import DtoolError, UsageError  # noqa: E402
from dtool.schedulers import get_scheduler  # noqa: E402
from dtool.training.config import TrainConfig  # noqa: E402
from dtool.training.preparation import choose_task, configure_network, describe_network  # noqa: E402
from dtool.training.session import Session, start  # noqa: E402

SMALL = {"width": 8, "multipliers": (1,)}


@pytest.fixture
def cut_outs(tmp_path: Path) -> Path:
    """8 squares of 8x8 pixels of one colour each, whose alpha channel is the square."""
    folder, rng = tmp_path / "cut-outs", np.random.default_rng(0)
    folder.mkdir()
    for i in range(8):
        image = np.zeros((8, 8, 4), np.uint8)
        image[i // 2 : i // 2 + 4, 2:6] = [*rng.integers(0, 256, 3), 255]
        Image.fromarray(image).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def textures(tmp_path: Path) -> Path:
    """One picture of 20x30 pixels."""
    (tmp_path / "textures").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "textures" / "a.png")
    return tmp_path / "textures"


def run(data: Path, output: Path, settings: dict[str, Any] | None = None, **more: Any) -> Session:
    config = TrainConfig(**{"steps": 1, "batch_size": 4, "task": "segment", **(settings or {})})
    session = start(str(data), output, config, network=SMALL, device="cpu", **more)
    list(session.run())
    return session


def test_cut_outs_are_laid_on_the_textures_and_a_run_goes_on_with_the_same(
    cut_outs: Path, textures: Path, tmp_path: Path
) -> None:
    output = tmp_path / "m.pt"
    run(cut_outs, output, backgrounds=str(textures))
    assert run(cut_outs, output, {"steps": 2}, backgrounds=str(textures), resume=True).trainer.step == 2
    with pytest.raises(UsageError, match="other images, captions or --backgrounds than these"):
        run(cut_outs, output, {"steps": 3}, resume=True)


def test_textures_without_cut_outs_are_refused(cut_outs: Path, textures: Path, tmp_path: Path) -> None:
    for settings, more in (({"task": "fill"}, {}), ({}, {"masks": str(cut_outs)})):
        with pytest.raises(UsageError, match="--backgrounds are of --task segment, for pictures that are cut out"):
            run(cut_outs, tmp_path / "m.pt", settings, backgrounds=str(textures), **more)


@pytest.mark.parametrize(
    ("settings", "more", "says"),
    [
        ({"augment": 0.1}, {}, "--augment 0.1"),
        ({}, {"masks": "there"}, "--masks there"),
        ({}, {"backgrounds": "there"}, "--backgrounds there"),
    ],
)
def test_options_without_their_task_are_refused(
    settings: dict[str, Any], more: dict[str, str], says: str, cut_outs: Path, tmp_path: Path
) -> None:
    with pytest.raises(DtoolError, match=says):
        run(cut_outs, tmp_path / "m.pt", {"task": None, **settings}, **more)


def test_a_task_is_of_pictures() -> None:
    config = TrainConfig(steps=1, task="fill")
    assert choose_task(config, None, None, None) is not None
    assert choose_task(TrainConfig(steps=1), None, None, Path("codec")) is None
    with pytest.raises(UsageError, match="--task fill is of pictures, and --codec of latents"):
        choose_task(config, None, None, Path("codec"))
    with pytest.raises(UsageError, match="--masks m is of a --task, and there is none"):
        choose_task(TrainConfig(steps=1), "m", None, None)


def test_latents_have_no_ends_and_the_pictures_statistics() -> None:
    pictures = Images(np.random.default_rng(0).integers(0, 256, (5, 3, 8, 8)).astype(np.uint8))
    latents = LatentImages(np.zeros((5, 4, 4, 4), np.float32), pictures=pictures)
    specs = [describe_network(TrainConfig(steps=1), each, None, get_scheduler("linear"), 1.0)
             for each in (pictures, latents)]  # fmt: skip
    assert [spec.clip for spec in specs] == [True, False]
    assert [spec.shape for spec in specs] == [(3, 8, 8), (4, 4, 4)]
    assert specs[0].statistics == specs[1].statistics


def test_attention_follows_the_levels() -> None:
    given = (TrainConfig(steps=1), Images(np.zeros((5, 3, 8, 8), np.uint8)), None, get_scheduler("linear"))
    config = configure_network(*given, {"width": 8, "multipliers": (1, 2, 2)})
    assert (config.channels, config.attention) == (3, (2,))
    with pytest.raises(UsageError, match="--width"):
        configure_network(*given, {"width": 12})
