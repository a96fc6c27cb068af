"""What a comparison found: plain data, and its JSON form."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.backends.batches import Trace
from dtool.compare.paired import SolverError
from dtool.compare.solver import Solution
from dtool.compare.split import Split
from dtool.metrics.evaluate import Figure
from dtool.plain import finite
from dtool.plan.plan import Plan
from dtool.schedulers.schedule import Schedule

FORMAT = 2


@dataclass(frozen=True)
class Entry:
    """One recipe at one number of steps: `name` as it was asked for, `recipe` in its shortest form, the plan's hash.

    `calls`: network calls an image. `seconds`: of drawing all n images, the median of the timed rounds, with their
    lowest and highest; `images_per_second` follows. `timing`: where the time of one run goes. `solver`: the distance to
    the solution of the ODE from the same noise, or `why_no_solver`. `figures`: the distance to data, by metric.
    """

    name: str
    recipe: str
    steps: int
    calls: int
    plan: str
    seconds: float
    seconds_low: float
    seconds_high: float
    images_per_second: float
    timing: Split | None = None
    solver: SolverError | None = None
    why_no_solver: str | None = None
    figures: dict[str, Figure] = field(default_factory=dict)
    points: dict[str, list[float | None]] = field(default_factory=dict)


@dataclass(frozen=True)
class About:
    """A metric as the comparison used it: see `dtool.metrics.Metric`; `skipped`: why it could not be had, or None."""

    name: str
    title: str
    better: str
    headline: bool
    null_mean: float | None = None
    null_sd: float | None = None
    skipped: str | None = None


@dataclass(frozen=True)
class Data:
    """What the law of the samples was compared with: its name, and of how many images it consists."""

    name: str
    count: int


@dataclass(frozen=True)
class Comparison:
    """The result of `dtool.compare`: one entry a recipe and step count, and the pictures that they drew.

    `rmse` (rows, rows): the root mean square difference of their samples, from the same noise. `solution`: what the
    solver's error is measured against, or `why_no_solution`. `data`, `metrics`: what the law is compared with, and how;
    `data` None: with nothing. `verdict`: in a line. `images` (rows, n, *shape) float32, `traces`, one a row, or none,
    `plans`, the network's `schedule`, are not in the JSON form.
    """

    entries: tuple[Entry, ...]
    rmse: NDArray[np.float64]
    n: int
    seed: int
    repeats: int
    backend: str
    device: str
    shape: tuple[int, ...]
    data_range: tuple[float, float]
    verdict: str
    solution: Solution | None
    why_no_solution: str | None
    data: Data | None
    metrics: tuple[About, ...]
    images: NDArray[np.float32] = field(repr=False)
    ids: NDArray[np.uint64] = field(repr=False)
    labels: NDArray[np.int64] | None = field(repr=False, default=None)
    traces: tuple[Trace, ...] = field(repr=False, default=())
    plans: tuple[Plan, ...] = field(repr=False, default=())
    schedule: Schedule | None = field(repr=False, default=None)
    class_names: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Everything but the pictures, as JSON can hold it: what is not finite is None."""
        reference: dict[str, Any] | None = None
        if self.solution is not None:
            reference = {name: getattr(self.solution, name) for name in ("recipe", "steps", "error", "ok", "reason")}
        found = {
            "format": FORMAT,
            "verdict": self.verdict,
            "n": self.n,
            "seed": self.seed,
            "repeats": self.repeats,
            "backend": self.backend,
            "device": self.device,
            "shape": list(self.shape),
            "data_range": list(self.data_range),
            "class_names": list(self.class_names),
            "labels": None if self.labels is None else self.labels.tolist(),
            "ids": self.ids.tolist(),
            "reference": reference,
            "why_no_reference": self.why_no_solution,
            "data": None if self.data is None else asdict(self.data),
            "metrics": [asdict(about) for about in self.metrics],
            "entries": [asdict(entry) for entry in self.entries],
            "rmse": self.rmse.tolist(),
        }
        plain: dict[str, Any] = finite(found)
        return plain

    def to_json(self) -> str:
        """`to_dict` as text."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
