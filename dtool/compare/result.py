"""The result of a comparison: plain data, and its JSON form."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dtool.compare.paired_errors import SolverErrorEstimate
from dtool.compare.step_doubling import Solution
from dtool.compare.time_shares import TimeSplit
from dtool.metrics.evaluation import Figure
from dtool.models.codec import Codec
from dtool.plan.compiled_plan import Plan
from dtool.run.micro_batches import Trace
from dtool.run.repeated_conditions import NOTHING_TOLD, RepeatedConditions
from dtool.schedulers.levels import compute_betas
from dtool.schedulers.schedule import Schedule
from dtool.util.text import replace_nonfinite

FORMAT = 2


@dataclass(frozen=True, kw_only=True)
class ComparisonEntry:
    """One recipe at one number of steps: `name` as the user wrote it, `recipe` in its shortest form, the plan's hash.

    `guidance`: its token, "" where none is named, and the `scale` it runs with (1: none). `calls`: network calls per
    image; `evaluations`: the same, those that guidance makes with and without the conditions counted twice. `seconds`:
    of drawing all n images, the median of the timed rounds, with their lowest and highest; `images_per_second` follows.
    `timing`: where the time of one run goes. `solver`: the distance to the solution of the ODE from the same noise, or
    `why_no_solver`. `figures`: the distance to data, by metric.
    """

    name: str
    recipe: str
    guidance: str
    scale: float
    steps: int
    calls: int
    evaluations: int
    plan: str
    seconds: float
    seconds_low: float
    seconds_high: float
    images_per_second: float
    timing: TimeSplit | None = None
    solver: SolverErrorEstimate | None = None
    why_no_solver: str | None = None
    figures: dict[str, Figure] = field(default_factory=dict)
    points: dict[str, list[float | None]] = field(default_factory=dict)


def locate_steps(plan: Plan) -> dict[str, list[float | None]]:
    """Where a plan's steps fall: the network's time, ᾱ and log-SNR at the start of each, and β, 1 - ᾱ over the next."""
    starts = plan.step_starts
    alpha_bar = plan.alpha_bar[starts]
    betas = compute_betas(alpha_bar[::-1])[::-1]
    columns = {"time": plan.time[starts], "alpha_bar": alpha_bar, "beta": betas, "log_snr": plan.log_snr[starts]}
    return {name: values.tolist() for name, values in columns.items()}


def format_calls(calls: int, evaluations: int) -> str:
    """How many network calls an image takes, and evaluations, if guidance makes more of them."""
    return f"{calls} calls" + (f" ({evaluations} evaluations)" if evaluations != calls else "")


@dataclass(frozen=True, kw_only=True)
class MetricSummary:
    """A metric as the comparison used it: see `dtool.metrics.Metric`. `skipped`: why it was not computed."""

    name: str
    title: str
    better: Literal["lower", "higher"]
    headline: bool
    null_mean: float | None = None
    null_sd: float | None = None
    skipped: str | None = None


@dataclass(frozen=True)
class ReferenceData:
    """What the law of the samples was compared with.

    `name`: as it is shown. `count`: of how many images it consists.
    """

    name: str
    count: int


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The result of `dtool.compare`: one entry per recipe and step count, and their images.

    `rmse` (rows, rows): the root mean square difference of their samples, from the same noise. `solution`: what the
    solver's error is measured against, or `why_no_solution`. `data`, `metrics`: what the samples' law is compared with,
    and how; `data` None: with nothing. `verdict`: one line. `images` (rows, n, *shape) float32, `traces`, one per row
    or none, `plans` and the network's `schedule` are not in the JSON form. told: the prompts and other conditions, in
    turn by the images' ids. codec: what decoded the images; the traces are as they were sampled. noise: "rows", what
    each row adds being its own, or "path", for increments of one Brownian path an image.
    """

    entries: tuple[ComparisonEntry, ...]
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
    data: ReferenceData | None
    metrics: tuple[MetricSummary, ...]
    images: NDArray[np.float32] = field(repr=False)
    ids: NDArray[np.uint64] = field(repr=False)
    labels: NDArray[np.int64] | None = field(repr=False, default=None)
    traces: tuple[Trace, ...] = field(repr=False, default=())
    plans: tuple[Plan, ...] = field(repr=False, default=())
    schedule: Schedule | None = field(repr=False, default=None)
    class_names: tuple[str, ...] = ()
    told: RepeatedConditions = NOTHING_TOLD
    codec: Codec | None = field(repr=False, default=None)
    noise: str = "rows"

    def to_dict(self) -> dict[str, Any]:
        """Everything but the pictures, as JSON can hold it: what is not finite is None."""
        reference: dict[str, Any] | None = None
        if self.solution is not None:
            reference = {name: getattr(self.solution, name) for name in ("recipe", "steps", "error", "ok", "reason")}
            reference["start"] = self.find_solution_start()
        content = {
            "format": FORMAT,
            "verdict": self.verdict,
            "n": self.n,
            "seed": self.seed,
            "noise": self.noise,
            "repeats": self.repeats,
            "backend": self.backend,
            "device": self.device,
            "shape": list(self.shape),
            "data_range": list(self.data_range),
            "class_names": list(self.class_names),
            "labels": None if self.labels is None else self.labels.tolist(),
            "ids": self.ids.tolist(),
            "prompts": self.told.take_prompts(self.ids),
            "told": self.told.describe(),
            "reference": reference,
            "why_no_reference": self.why_no_solution,
            "data": None if self.data is None else asdict(self.data),
            "metrics": [asdict(metric) for metric in self.metrics],
            "entries": [asdict(entry) for entry in self.entries],
            "rmse": self.rmse.tolist(),
        }
        plain: dict[str, Any] = replace_nonfinite(content)
        return plain

    def find_solution_start(self) -> float | None:
        """The time on the network's schedule at which the solution begins, None where that is not known."""
        if self.solution is None or self.schedule is None:
            return None
        return float(self.schedule.time(self.solution.start.lam))

    def to_json(self) -> str:
        """`to_dict` as text."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
