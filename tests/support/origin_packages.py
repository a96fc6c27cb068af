"""Packages whose files dtool opens: imported where they are installed, whatever torchvision there is."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

import pytest

from tests.support.parity_record import record_parity


def import_origin(name: str) -> Any:
    """The module `name`; skips the test, with the reason, if its package is not installed."""
    ensure_torchvision()
    try:
        return importlib.import_module(name)
    except ImportError as error:
        pytest.skip(f"{name} cannot be imported: {error}")


def ensure_torchvision() -> None:
    """Let torchvision be imported where there is none for this torch: as modules without anything in them.

    The wheels on PyPI are for CUDA builds of torch. Nothing of it is used by networks and sampling loops.
    """
    try:
        importlib.import_module("torchvision")
    except Exception:  # none, or one that does not fit this torch
        for loaded in [each for each in sys.modules if each.partition(".")[0] == "torchvision"]:
            del sys.modules[loaded]
        empty = {each: ModuleType(each) for each in ("torchvision", "torchvision.transforms", "torchvision.utils")}
        functional = ModuleType("torchvision.transforms.functional")
        empty["torchvision.transforms"].functional = functional  # type: ignore[attr-defined]
        empty["torchvision"].transforms = empty["torchvision.transforms"]  # type: ignore[attr-defined]
        empty["torchvision"].utils = empty["torchvision.utils"]  # type: ignore[attr-defined]
        sys.modules |= {**empty, functional.__name__: functional}


class Draws:
    """Standard normal noise that both sides are given: `start` for x_T, then one array for each later call."""

    def __init__(self, shape: tuple[int, ...], count: int, seed: int = 0) -> None:
        import torch

        self.arrays = torch.randn((count + 1, *shape), generator=torch.Generator().manual_seed(seed))
        self.used = 0

    @property
    def start(self) -> Any:
        """x_T, `(B, *shape)`."""
        return self.arrays[0]

    @property
    def noise(self) -> Any:
        """All later draws, `(count, B, *shape)`."""
        return self.arrays[1:]

    def __call__(self, *_: Any, **__: Any) -> Any:
        """The next array, in the place of torch.randn and torch.randn_like."""
        self.used += 1
        return self.arrays[self.used - 1]


def relative_difference(mine: Any, theirs: Any) -> float:
    """The largest difference, by the largest value of the origin's result."""
    import numpy as np

    own, other = (np.asarray(each.detach() if hasattr(each, "detach") else each, np.float64) for each in (mine, theirs))
    difference, largest = abs(own - other).max(), abs(other).max()
    print(f"max diff {difference:.2e}, largest {largest:.3g}, {(abs(other) < 0.999 * largest).mean():.0%} below it")
    record_parity(difference, largest)
    return float(difference / largest)
