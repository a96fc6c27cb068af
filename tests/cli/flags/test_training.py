"""The flags of `dtool train`, as the training takes them."""

from __future__ import annotations

import pytest

from dtool.cli.flags.training import TrainingFlags, UNetFlags
from dtool.errors import UsageError


@pytest.mark.parametrize(("text", "size"), [("32", (32, 32)), ("24x32", (24, 32)), ("32x24", (32, 24)), (None, None)])
def test_a_size_is_height_then_width(text, size):
    assert TrainingFlags(size=text).parse_size() == size


@pytest.mark.parametrize("text", ["4x", "wide", "0", "8x0", "8x8x8"])
def test_what_is_no_size(text):
    with pytest.raises(UsageError, match=f"--size {text}: not a size"):
        TrainingFlags(size=text).parse_size()


@pytest.mark.parametrize(
    ("text", "size"), [("32", (32, 32)), ("24x32", (24, 32)), ("24,32", (24, 32)), (None, None), ("none", None)]
)
def test_a_size_is_a_height_and_a_width(text, size):
    if text == "none":
        with pytest.raises(UsageError, match="--size none"):
            TrainingFlags(size=text).parse_size()
    else:
        assert TrainingFlags(size=text).parse_size() == size


@pytest.mark.parametrize("text", ["0", "0x4", "1x2x3", "big", "-3"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(UsageError, match=f"--size {text}") as error:
        TrainingFlags(size=text).parse_size()
    assert error.value.hint


def test_the_flags_of_a_network_are_the_settings_that_were_given():
    assert UNetFlags().to_settings() == {"blocks": 1, "dropout": 0.0, "patch": 1}
    flags = UNetFlags(width=16, multipliers="1,2,2", attention="none", dropout=0.1, patch=2)
    assert flags.to_settings() == {
        "width": 16, "blocks": 1, "dropout": 0.1, "multipliers": (1, 2, 2), "attention": (), "patch": 2,
    }  # fmt: skip
    with pytest.raises(UsageError, match="--attention 1;2: not a list of whole numbers"):
        UNetFlags(attention="1;2").to_settings()


def test_every_flag_of_a_run_reaches_its_settings():
    pytest.importorskip("torch")
    pytest.importorskip("accelerate")
    flags = TrainingFlags(steps=7, scheduler="cosine:T=50", lr=0.5, label_dropout=0.25, size="8", device="cpu")
    config = flags.to_config()
    assert (config.steps, config.schedule, config.lr, config.label_dropout) == (7, "cosine:T=50", 0.5, 0.25)
    for name in vars(flags).keys() - {"scheduler", "size", "device"}:
        assert getattr(config, name) == getattr(flags, name), name
    with pytest.raises(UsageError, match="--ema"):
        TrainingFlags(ema=1.0).to_config()
