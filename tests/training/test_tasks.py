"""What a network is told is a property of the picture that it is to draw, and the words of --task are checked."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")
import dtool  # noqa: E402
from dtool.errors import UsageError  # noqa: E402
from dtool.models import checkpoint  # noqa: E402
from dtool.training.config import TrainConfig  # noqa: E402
from dtool.training.session import start  # noqa: E402
from dtool.training.tasks import LUMA, Colour, Fill, Segment, Upscale, describe_conditions, parse_task  # noqa: E402

SMALL = {"width": 8, "multipliers": (1,)}


def generator(seed: int = 0) -> Any:
    return torch.Generator().manual_seed(seed)


def pixels(channels: int = 3, count: int = 400, size: int = 8) -> Any:
    return torch.rand(count, channels, size, size, generator=generator(9)) * 2 - 1


@pytest.fixture(scope="module")
def cut_outs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 squares of 8x8 pixels of one colour each, whose alpha channel is the square."""
    folder = tmp_path_factory.mktemp("cut-outs")
    rng = np.random.default_rng(0)
    for i in range(16):
        image = np.zeros((8, 8, 4), np.uint8)
        top, left = rng.integers(0, 4, 2)
        image[top : top + 4, left : left + 4] = [*rng.integers(0, 256, 3), 255]
        Image.fromarray(image).save(folder / f"{i}.png")
    return folder


def test_an_upscaler_sees_the_means_of_squares_and_the_noise_that_it_is_told_of() -> None:
    x0 = pixels()
    drawn, told = Upscale(2).split(x0, generator())
    assert torch.equal(drawn, x0)
    means = x0.reshape(-1, 3, 4, 2, 4, 2).mean(dim=(3, 5))
    level = told["level"][:, None, None, None]
    clean = told["level"] == 0
    assert 0.4 < float(clean.float().mean()) < 0.6
    assert 0.25 < float(told["level"].max()) <= 0.3
    torch.testing.assert_close(told["low"][clean], means[clean])
    noise = ((told["low"] - (1 - level**2).sqrt() * means) / level)[~clean]
    assert float(noise.mean()) == pytest.approx(0, abs=0.05)
    assert float(noise.std()) == pytest.approx(1, abs=0.05)
    assert Upscale(2, augment=0.0).split(x0, generator())[1].keys() == {"low"}


def test_a_hole_is_a_rectangle_of_a_quarter_to_three_quarters_of_a_side() -> None:
    x0 = pixels(size=16)
    _, told = Fill().split(x0, generator())
    inside = told["mask"][:, 0] > 0
    assert set(told["mask"].unique().tolist()) == {-1.0, 1.0}
    rows, columns = inside.any(2).sum(1), inside.any(1).sum(1)
    assert torch.equal(inside.sum(dim=(1, 2)), rows * columns)  # nothing but the rectangle
    for sides in (rows, columns):
        assert (int(sides.min()), int(sides.max())) == (4, 12)
    assert bool(inside.any(0).all())  # wherever it may lie


def test_grey_is_the_luma() -> None:
    x0 = pixels()
    _, told = Colour().split(x0, generator())
    torch.testing.assert_close(told["grey"][:, 0], LUMA[0] * x0[:, 0] + LUMA[1] * x0[:, 1] + LUMA[2] * x0[:, 2])


def test_what_is_cut_out_lies_on_a_background_and_its_mask_is_drawn() -> None:
    masked = pixels(4)
    masked[:, 3] = torch.where(masked[:, 3] > 0, 1.0, -1.0)
    mask, told = Segment(augment=0.0).split(masked, generator())
    assert torch.equal(mask, masked[:, 3:])
    inside = (mask > 0).expand(-1, 3, -1, -1)
    torch.testing.assert_close(told["picture"][inside], masked[:, :3][inside])
    assert float((told["picture"][~inside] - masked[:, :3][~inside]).abs().mean()) > 0.3
    assert torch.equal(Segment(cut_out=False).split(masked, generator())[1]["picture"], masked[:, :3])


@pytest.mark.parametrize(
    ("words", "more", "says"),
    [
        ("upscal:2", {}, "there is no such task"),
        ("upscale", {}, "not a factor"),
        ("upscale:1", {}, "not a factor"),
        ("fill:2", {}, "fill has no options"),
        ("fill", {"masks": True}, "--masks are of --task segment"),
        ("colour", {"augment": 0.1}, "--augment is of --task upscale"),
        ("segment", {"augment": 0.1, "masks": True}, "--augment is of --task upscale"),
    ],
)
def test_words_that_mean_no_task_are_refused(words: str, more: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        parse_task(words, **more)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("task", "shape", "says"), [(Upscale(3), (3, 8, 8), "8x8 pixels"), (Colour(), (1, 8, 8), "are grey")]
)
def test_pictures_that_do_not_fit_are_refused(task: Any, shape: tuple[int, ...], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        task.choose_shape(shape)


@pytest.mark.parametrize("words", ["upscale:2", "fill", "colour", "segment"])
def test_every_task_trains_a_model_that_says_what_it_takes(words: str, cut_outs: Path, tmp_path: Path) -> None:
    output = tmp_path / "m.pt"
    config = TrainConfig(steps=2, batch_size=4, task=words, prediction="v")
    run = start(str(cut_outs), output, config, network=SMALL, device="cpu", preview=tmp_path / "p.png")
    list(run.run())
    spec = checkpoint.read(output).spec
    task = parse_task(words)
    assert spec.conditions == describe_conditions(task, run.trainer.images.shape)
    told = {one.name: np.zeros((2, *one.shape), np.float32) for one in spec.conditions}
    drawn = dtool.sample(dtool.load(output, device="cpu"), "ddim", steps=2, n=2, seed=0, conditions=told)
    assert drawn.x0.shape == (2, *task.choose_shape(run.trainer.images.shape))
    assert (tmp_path / "p.png").exists()


def test_an_upscaler_learns_to_look_at_its_condition(cut_outs: Path, tmp_path: Path) -> None:
    """Told one low picture, it must draw a picture like it: nearer than the picture of another."""
    config = TrainConfig(steps=300, batch_size=16, lr=5e-3, ema=0.9, task="upscale:2", augment=0.0, prediction="v")
    run = start(str(cut_outs), tmp_path / "m.pt", config, network={**SMALL, "width": 16}, device="cpu")
    list(run.run())
    x0 = torch.from_numpy(run.trainer.images.take())
    low = torch.nn.functional.avg_pool2d(x0, 2).numpy()
    net = dtool.load(run.network(), spec=run.spec, device="cpu")
    drawn = dtool.sample(net, "ddim", steps=10, n=16, seed=0, conditions={"low": low}).x0
    own = np.square(drawn - x0.numpy()).mean(axis=(1, 2, 3))
    others = np.square(drawn - np.roll(x0.numpy(), 1, axis=0)).mean(axis=(1, 2, 3))
    assert own.mean() < 0.4 * others.mean(), (own.mean(), others.mean())


def test_half_of_what_is_cut_out_is_varied_unless_another_share_is_said() -> None:
    assert [parse_task("segment", augment=share) for share in (None, 0.2, 0.0)] == [
        Segment(augment=share) for share in (0.5, 0.2, 0.0)
    ]
    masked = pixels(4)
    mask, _ = Segment(augment=0.5).split(masked, generator())
    moved = (mask - masked[:, 3:]).abs().flatten(1).amax(1) > 1e-3
    assert 0.4 < float(moved.float().mean()) < 0.6
