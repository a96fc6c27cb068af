"""What is drawn, made small, is the condition, whatever the network says; with noise on it, what is most likely."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from pydantic import ValidationError  # noqa: E402

import dtool  # noqa: E402
from dtool.models import consistent_upscaling as upscaling  # noqa: E402
from dtool.models.conditions import Condition  # noqa: E402
from dtool.models.spec import NetworkSpec  # noqa: E402
from dtool.models.unet import UNet, UNetConfig  # noqa: E402
from dtool.models.unet_conditions import PictureInput  # noqa: E402
from dtool.schedulers import get_scheduler  # noqa: E402

SCHEDULE = get_scheduler("cosine:T=50")
LOW = PictureInput(name="low", channels=3, factor=2)
PREDICTIONS = ["x0", "v", "eps", "flow"]


def random(*shape: int, seed: int = 0) -> Any:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def make_config(prediction: str = "x0", **more: Any) -> UNetConfig:
    own = {"low": "low", "level": "level", "factor": 2, "prediction": prediction, "deviation": 0.2}
    own |= {"coordinates": SCHEDULE.coordinates, "times": SCHEDULE.T}
    return UNetConfig(
        channels=3, width=8, multipliers=(1,), pictures=(LOW,), numbers=("level",), upscaling={**own, **more}
    )


def make_network(prediction: str = "x0") -> Any:
    """One that says something wild."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = UNet(make_config(prediction)).eval().requires_grad_(False)
        torch.nn.init.normal_(network.last.weight)
    network.upscaling.set_schedule(SCHEDULE)
    return network


def make_spec(prediction: str = "x0") -> NetworkSpec:
    conditions = (Condition(name="low", shape=(3, 4, 4)), Condition(name="level", null=0.0))
    return NetworkSpec(
        shape=(3, 8, 8), schedule=SCHEDULE.token, prediction=prediction, conditions=conditions, clip=True
    )


def find_x0(prediction: str, answer: Any, x: Any, alpha: Any, sigma: Any) -> Any:
    """The picture that a variance-preserving network means."""
    if prediction == "x0":
        return answer
    if prediction == "v":
        return alpha * x - sigma * answer
    return (x - sigma * answer) / (alpha if prediction == "eps" else alpha + sigma)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_the_picture_that_a_network_means_is_consistent_and_in_range(prediction: str) -> None:
    times = np.array([0, 0.4, 7, 30.7, 45])
    alpha, sigma = (torch.tensor(n).float()[:, None, None, None] for n in SCHEDULE.level(times))
    low = random(5, 3, 4, 4).clamp(-1, 1)  # a third of them at an end of the range
    x = alpha * upscaling.enlarge(low, 2) + sigma * random(5, 3, 8, 8, seed=1)
    answer = make_network(prediction)(x, torch.tensor(times).float(), low=low, level=torch.zeros(5))
    x0 = find_x0(prediction, answer, x, alpha, sigma)
    torch.testing.assert_close(upscaling.shrink(x0, 2), low, atol=2e-5, rtol=0)
    assert float(x0.abs().max()) <= 1 + 2e-5
    assert float((x0 - upscaling.enlarge(low, 2)).abs().mean()) > 0.05  # and yet it is a picture of its own


@pytest.mark.parametrize("recipe", ["ddim", "dpmpp-2m", "ddpm"])
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_samples_made_small_are_what_they_were_made_of(prediction: str, recipe: str) -> None:
    low = random(3, 3, 4, 4, seed=3).clamp(-1, 1).numpy()
    network = dtool.load(make_network(prediction), spec=make_spec(prediction), device="cpu")
    drawn = dtool.sample(network, recipe, steps=7, n=3, seed=0, conditions={"low": low}).x0
    again = drawn.reshape(3, 3, 4, 2, 4, 2).mean(axis=(3, 5))
    assert np.abs(again - low).max() * 127.5 < 0.2


def test_a_network_that_says_nothing_draws_bicubic_interpolation_made_consistent() -> None:
    network = UNet(make_config()).eval()
    network.upscaling.set_schedule(SCHEDULE)
    low = random(2, 3, 4, 4).clamp(-0.5, 0.5)
    drawn = network(random(2, 3, 8, 8, seed=2), torch.full((2,), 49.0), low=low, level=torch.zeros(2))
    bicubic = torch.nn.functional.interpolate(low, size=(8, 8), mode="bicubic", align_corners=False)
    means = upscaling.enlarge(upscaling.shrink(bicubic, 2) - low, 2)
    torch.testing.assert_close(drawn, bicubic - means, atol=0.02, rtol=0)


def test_the_estimate_is_that_of_bayes_for_normal_numbers() -> None:
    """Of all linear estimates of d ~ N(0, s²) from x = αd + σε the mean error is the least at F = 0, and F its unit."""
    s, alpha, sigma = (torch.tensor(n, dtype=torch.float64) for n in (0.3, 0.8, 0.6))
    d = s * random(200_000).double()
    x = alpha * d + sigma * random(200_000, seed=1).double()
    zero, one = torch.zeros_like(d), torch.ones_like(d)
    error = d - upscaling._estimate(x, zero, s, alpha, sigma)
    unit = upscaling._estimate(x, one, s, alpha, sigma) - upscaling._estimate(x, zero, s, alpha, sigma)
    assert float(error.std() / unit.mean()) == pytest.approx(1, abs=0.01)
    assert float((error * x).mean()) == pytest.approx(0, abs=2e-3)  # nothing more can be had from x


def test_with_noise_on_the_small_picture_its_means_are_estimated_too() -> None:
    """The more is known of x, the less the noisy small picture counts; F = 0 is better than to believe it."""
    network = UNet(make_config()).eval()
    network.upscaling.set_schedule(SCHEDULE)
    level, count = 0.3, 64
    x0 = upscaling.enlarge(random(count, 3, 4, 4).clamp(-1, 1) * 0.7, 2)
    small = upscaling.shrink(x0, 2)
    noisy = (1 - level**2) ** 0.5 * small + level * random(count, 3, 4, 4, seed=1)
    alpha, sigma = (float(n) for n in SCHEDULE.level(10))
    x = alpha * x0 + sigma * random(count, 3, 8, 8, seed=2)
    with torch.no_grad():
        drawn = network(x, torch.full((count,), 10.0), low=noisy, level=torch.full((count,), level))
    own = (upscaling.shrink(drawn, 2) - small).square().mean()
    told, seen = level**2 / (1 - level**2), (sigma / alpha / 2) ** 2  # variances of what is known of each mean
    assert float(own) == pytest.approx(1 / (1 / told + 1 / seen), rel=0.1)


def test_pictures_that_must_be_flat_are_flat() -> None:
    white = torch.ones(1, 3, 2, 2)
    assert torch.equal(upscaling.make_consistent(random(1, 3, 4, 4), white, 2), torch.ones(1, 3, 4, 4))


@pytest.mark.parametrize(
    "fields", [{"low": "other"}, {"factor": 4}, {"level": "strength"}, {"deviation": 0.0}, {"coordinates": "polar"}]
)
def test_a_configuration_that_contradicts_its_network_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make_config(**fields)


@pytest.mark.parametrize("prediction", ["x0", "v"])
def test_it_is_exported_with_the_network(prediction: str, tmp_path: Path) -> None:
    for name in ("onnx", "onnxruntime", "onnxscript"):
        pytest.importorskip(name)
    report = dtool.export((make_network(prediction), make_spec(prediction)), tmp_path / "net.onnx", steps=3)
    assert report.largest < 1e-4
    low = random(2, 3, 4, 4, seed=3).clamp(-1, 1).numpy()
    file = dtool.load(tmp_path / "net.onnx", device="cpu")
    drawn = dtool.sample(file, "ddim", steps=5, n=2, seed=0, conditions={"low": low}).x0
    assert np.abs(drawn.reshape(2, 3, 4, 2, 4, 2).mean(axis=(3, 5)) - low).max() * 127.5 < 0.2
