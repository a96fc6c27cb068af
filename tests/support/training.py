"""A small training run that uses all that is random."""

from pathlib import Path
from typing import Any

import torch

from dtool.training.config import TrainConfig
from dtool.training.period import Period
from dtool.training.session import Session, start


def session(data: Path, output: Path, **settings: Any) -> Session:
    """A small run that uses all that is random: label dropout, dropout in the network, an average, previews."""
    resume = settings.pop("resume", False)
    config = TrainConfig(**{"steps": 12, "batch_size": 10, "seed": 3, "label_dropout": 0.3, **settings})
    small = {"width": 8, "multipliers": (1, 2), "attention": (1,), "dropout": 0.2}
    more = {"resume": resume, "save_every": Period(steps=3), "preview_every": Period(steps=2)}
    return start(str(data), output, config, network=small, device="cpu", **more)


def assert_same_content(a: Any, b: Any) -> None:
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same_content(a[key], b[key])
    elif isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    else:
        assert a == b
