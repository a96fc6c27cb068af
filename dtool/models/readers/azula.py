"""Denoisers of azula as live objects: their posterior's mean is the image, their schedule becomes one of dtool's.

azula's schedules need not keep to any coordinates: its "VP" has α² + σ² = 1 + σ_min². dtool takes the same ratio α/σ in
coordinates that are exact, and scales x for the denoiser by what lies between.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dtool.errors import DtoolError, UsageError
from dtool.models.description import Description
from dtool.models.network import Network
from dtool.models.origin import Origin
from dtool.models.reader import reader
from dtool.models.readers.opening import build_spec, open_module, read_words
from dtool.models.runtime import Runtime
from dtool.models.spec import NetworkSpec, describe_schedule
from dtool.schedulers.levels import Coordinates
from dtool.schedulers.schedule import Schedule, from_lam

LEVELS = 1001  # of the table: times i/1000, so that 10, 50 or 100 even steps fall on them
BASE = "azula.denoise.Denoiser"
ALLOWED = ("shape", "data_range", "clip", "classes", "null_class", "class_names", "guidance")


def recognises(source: Any) -> bool:
    """Whether it is a denoiser of azula, by the names of its classes: azula is not imported to find out."""
    return any(f"{cls.__module__}.{cls.__qualname__}" == BASE for cls in type(source).__mro__)


@reader("azula", recognises=recognises, summary="a denoiser of azula, as an object")
def azula(source: Any, description: NetworkSpec | Description, runtime: Runtime) -> Network:
    """The denoiser under its own schedule. A class is given to it as `label`.

    Raises UsageError where the shape of a sample is not said, DtoolError for a schedule that is none.
    """
    said = read_words(source, description, ALLOWED)
    if "shape" not in said:
        raise UsageError("a denoiser of azula does not say the shape of a sample", "give spec={'shape': (3, 64, 64)}")
    schedule, coordinates = _convert_schedule(source.schedule)
    fields = {**describe_schedule(schedule), "prediction": "x0", "null_class": None if said.get("classes") else True}
    spec = build_spec(source, **{**fields, **said})
    origin = Origin(
        reader="azula",
        what=f"azula's {type(source).__name__} under its {type(source.schedule).__name__}",
        recipe="ddim/linspace:end=alpha_bar_0",
        steps=64,
        differences=(
            "its samplers end at the schedule's first level and return x there, noise and all, and so does this recipe",
        ),
        assumptions=(f"the schedule is taken at {LEVELS} times, evenly from 0 to 1",),
    )
    return open_module(source, _make_module(source, coordinates), spec, runtime, origin)


def _convert_schedule(schedule: Any) -> tuple[Schedule, Coordinates]:
    """The levels at `LEVELS` times in 0 … 1, and the coordinates that are the closest to azula's."""
    import torch

    with torch.no_grad():
        pair = schedule(torch.linspace(0, 1, LEVELS, dtype=torch.float64))
    alpha, sigma = (np.broadcast_to(np.asarray(each.cpu(), np.float64), (LEVELS,)) for each in pair)
    if not (np.isfinite(alpha).all() and np.isfinite(sigma).all() and (alpha > 0).all() and (sigma > 0).all()):
        raise DtoolError(
            "the denoiser's schedule has levels that are not above 0", "give alpha_min and sigma_min above 0"
        )
    far: dict[Coordinates, float] = {
        "ve": float(abs(alpha - 1).max()), "vp": float(abs(np.hypot(alpha, sigma) - 1).max()),
        "flow": float(abs(alpha + sigma - 1).max()),
    }  # fmt: skip
    coordinates = min(far, key=lambda name: far[name])
    return from_lam(np.log(alpha) - np.log(sigma), coordinates), coordinates


def _make_module(denoiser: Any, coordinates: Coordinates) -> Any:
    """x0 of (x, t[, label]), t an index 0 … LEVELS-1."""
    from torch import nn

    class PosteriorMean(nn.Module):
        """The denoiser in dtool's coordinates: x is scaled by azula's α/α = σ/σ at the same time."""

        def __init__(self) -> None:
            super().__init__()
            self.denoiser = denoiser

        def forward(self, x: Any, t: Any, label: Any = None) -> Any:
            """The posterior's mean, of the shape of x."""
            time = t / (LEVELS - 1)
            alpha, sigma = self.denoiser.schedule(time)
            size = {"ve": alpha, "vp": (alpha**2 + sigma**2) ** 0.5, "flow": alpha + sigma}[coordinates]
            scaled = x * size.reshape(-1, *[1] * (x.ndim - 1))
            told = {} if label is None else {"label": label}
            return self.denoiser(scaled, time, **told).mean

    return PosteriorMean()
