"""The settings of an autoencoder's training: its levels, its learning rate, and what is refused."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("accelerate")
from dtool.errors import UsageError
from dtool.training.codec_config import CodecConfig


@pytest.mark.parametrize(
    ("factor", "widths"), [(2, (16, 32)), (4, (16, 32, 64)), (8, (16, 32, 64, 64)), (32, (16, 32, 64, 64, 64, 64))]
)
def test_each_level_halves_the_sides(factor: int, widths: tuple[int, ...]) -> None:
    config = CodecConfig(steps=1, factor=factor)
    assert config.widths == widths
    assert 2 ** (len(widths) - 1) == factor


def test_the_learning_rate_rises_to_its_peak_and_falls_to_nothing() -> None:
    config = CodecConfig(steps=1000, lr=0.1, warmup=9)
    assert config.lr_at(0) == pytest.approx(0.01)
    assert config.lr_at(500) == pytest.approx(0.05)
    assert config.lr_at(999) < 1e-6
    assert CodecConfig(steps=10, lr=0.1, warmup=0, decay="constant").lr_at(9) == 0.1


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"factor": 3}, "--factor: is a power of 2: 2, 4, 8, 16 or 32"),
        ({"factor": 64}, "--factor"),
        ({"width": 12}, "--width"),
        ({"kl": -1.0}, "--kl"),
        ({"edges": float("inf")}, "--edges"),
        ({"validation": 0.6}, "--validation"),
        ({"lr": 0.0}, "--lr"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_flag(settings: dict[str, float], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        CodecConfig.of(steps=1, **settings)
    assert str(caught.value).startswith(says)
    assert caught.value.hint == "dtool train-codec --help lists the options"
