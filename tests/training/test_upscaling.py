"""Upscalers are consistent with their input unless that is not wanted, their files say so, and older runs go on."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")
import dtool  # noqa: E402
from dtool.data.images import Images  # noqa: E402
from dtool.errors import UsageError  # noqa: E402
from dtool.models import checkpoint  # noqa: E402
from dtool.models.consistent_upscaling import UpscalingConfig  # noqa: E402
from dtool.training.config import TrainConfig  # noqa: E402
from dtool.training.session import Session, start  # noqa: E402
from dtool.training.upscaling import SMALLEST, measure_deviation  # noqa: E402
from tests.support.training import assert_same_content  # noqa: E402

SMALL = {"width": 8, "multipliers": (1,), "patch": 2}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 pictures of 8x8 pixels, grey, without classes."""
    path = tmp_path_factory.mktemp("pictures") / "x.npz"
    np.savez(path, x=np.random.default_rng(0).integers(0, 256, (16, 8, 8)).astype(np.uint8))
    return path


def make(data: Path, output: Path, *, resume: bool = False, **settings: Any) -> Session:
    config = TrainConfig.of(**{"steps": 4, "batch_size": 4, "task": "upscale:2", "prediction": "x0", **settings})
    return start(str(data), output, config, network=SMALL, device="cpu", resume=resume)


def test_a_new_upscaler_is_consistent_and_its_file_says_so(pictures: Path, tmp_path: Path) -> None:
    run = make(pictures, tmp_path / "m.pt", lr=0.1)
    list(run.run())
    upscaling = UpscalingConfig.model_validate(checkpoint.read(tmp_path / "m.pt").config["upscaling"])
    assert (upscaling.low, upscaling.level, upscaling.factor, upscaling.prediction) == ("low", "level", 2, "x0")
    assert upscaling.deviation == measure_deviation(run.trainer.images, 2)
    low = np.random.default_rng(1).uniform(-1, 1, (3, 1, 4, 4)).astype(np.float32)
    drawn = dtool.sample(dtool.load(tmp_path / "m.pt"), "ddim", steps=3, n=3, seed=0, conditions={"low": low}).x0
    assert np.abs(drawn.reshape(3, 1, 4, 2, 4, 2).mean(axis=(3, 5)) - low).max() < 1e-4


def test_it_may_do_without(pictures: Path, tmp_path: Path) -> None:
    run = make(pictures, tmp_path / "m.pt", consistent=False)
    assert run.trainer.network.upscaling is None
    with pytest.raises(UsageError, match="--consistent is of --task upscale, not of fill"):
        TrainConfig.of(steps=1, task="fill", consistent=True)


def test_it_is_the_same_bits_when_it_goes_on(pictures: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole.pt", tmp_path / "parts.pt"
    list(make(pictures, whole, decay="constant", warmup=0).run())
    list(make(pictures, parts, decay="constant", warmup=0, steps=2).run())
    list(make(pictures, parts, decay="constant", warmup=0, resume=True).run())
    assert_same_content(torch.load(whole, weights_only=True), torch.load(parts, weights_only=True))


def test_a_run_from_before_there_was_a_choice_goes_on_without(pictures: Path, tmp_path: Path) -> None:
    output = tmp_path / "m.pt"
    list(make(pictures, output, consistent=False, steps=2).run())
    content = torch.load(output, weights_only=True)
    settings = json.loads(content["training"]["config"])
    del settings["consistent"]
    assert "upscaling" not in content["network"]["config"]
    content["training"]["config"] = json.dumps(settings)
    torch.save(content, output)
    with pytest.raises(UsageError, match="trained with --no-consistent"):
        make(pictures, output, resume=True)
    assert make(pictures, output, resume=True, consistent=False).trainer.step == 2


def test_pictures_that_are_flat_have_a_deviation_too() -> None:
    assert measure_deviation(Images(np.full((4, 1, 8, 8), 100, np.uint8)), 2) == SMALLEST
