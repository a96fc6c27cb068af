"""What a diffusers scheduler's config says: how the network was trained, and how its makers sample it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dtool.errors import DtoolError, UsageError
from dtool.models.readers.diffusers_config import SchedulerConfig, open_config
from dtool.models.readers.diffusers_recipe import choose_recipe
from dtool.models.readers.diffusers_task import Task
from dtool.schedulers import get_scheduler
from dtool.schedulers.level_tables import MAX_STEPS
from dtool.schedulers.schedule import Schedule, from_betas

SOURCE = "the scheduler's config"
_SCHEDULES = {
    "linear": "linear", "scaled_linear": "scaled-linear", "squaredcos_cap_v2": "cosine", "sigmoid": "sigmoid-beta",
    "laplace": "", "exp": "exp",
}  # fmt: skip
_PREDICTIONS = {"epsilon": "eps", "v_prediction": "v", "sample": "x0", "flow_prediction": "flow"}
_EDM = ("EDMEulerScheduler", "EDMDPMSolverMultistepScheduler")
_FLOW = ("FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler")
_CONSISTENCY = "CMStochasticIterativeScheduler"


@dataclass(frozen=True)
class ConsistencyBoundary:
    """How a consistency model's output becomes an image (arXiv:2303.01469, eq. 5 and appendix C): at σ_min it is x."""

    sigma_data: float
    sigma_min: float

    def wrap(self, network: Callable[..., Any]) -> Callable[..., Any]:
        """(x, σ, …) ↦ x0 of a network (x, 250·ln σ, …); x `(B, *)` and σ `(B,)` are arrays or tensors."""

        def predict(x: Any, sigma: Any, *others: Any, **named: Any) -> Any:
            time = 250 * (sigma.log() if hasattr(sigma, "log") else np.log(sigma))
            level = sigma.reshape(-1, *[1] * (x.ndim - 1))
            size, apart = (level**2 + self.sigma_data**2) ** 0.5, level - self.sigma_min
            skip, out = self.sigma_data**2 / (apart**2 + self.sigma_data**2), apart * self.sigma_data / size
            return skip * x + out * network(x / size, time, *others, **named)

        return predict


@dataclass(frozen=True)
class NegatedOutput:
    """A network in EDM's scaling whose output has the other sign: with σ_data = 1 that is v."""

    def wrap(self, network: Callable[..., Any]) -> Callable[..., Any]:
        """The network with EDM's sign."""
        return lambda *given, **named: -network(*given, **named)


@dataclass(frozen=True, kw_only=True)
class SchedulerReading:
    """How a network was trained and is sampled by its makers, as its scheduler's config says.

    schedule: the training schedule, by name or as its levels. prediction and time: as in a network's spec, what the
    output means and what the network is told. adapter: where no prediction says what the output means, as with
    consistency models, `adapter.wrap(network)` is the network of which the rest is said. clip, clip_range: whether
    predicted images are clipped, to ±clip_range. threshold, threshold_max: dynamic thresholding at this quantile, which
    counts for threshold_max at most. learned_variance: half of the channels say the noise's variance. recipe: what its
    makers sample with; differences: in what it is not exactly theirs; assumptions: what the config does not say.
    """

    kind: str
    schedule: str | Schedule
    prediction: str
    time: str
    clip: bool
    clip_range: float
    threshold: float | None
    threshold_max: float | None
    learned_variance: bool
    recipe: str
    differences: tuple[str, ...]
    assumptions: tuple[str, ...]
    adapter: ConsistencyBoundary | NegatedOutput | None = None

    def to_fields(self) -> dict[str, Any]:
        """The fields of a network's spec that the config knows, as `NetworkSpec(shape=…, **fields)` takes them."""
        return {
            "schedule": self.schedule, "prediction": self.prediction, "time": self.time, "clip": self.clip,
            "clip_range": None if self.clip_range == 1 else self.clip_range, "threshold": self.threshold,
            "threshold_max": self.threshold_max, "learned_variance": self.learned_variance,
        }  # fmt: skip


def read_scheduler_config(
    config: Mapping[str, Any],
    *,
    class_name: str | None = None,
    tokens: int | None = None,
    pipeline: str | None = None,
    source: str = SOURCE,
) -> SchedulerReading:
    """What `config` says: a parsed scheduler_config.json, or `dict(scheduler.config)`. Keys that it lacks mean the
    class's defaults.

    class_name: the scheduler's class, if it is not the config's "_class_name" (it is not after from_config of
    another class). tokens: how many of them an image is, which a dynamic shift depends on. pipeline: the class of the
    pipeline, some of which have levels of their own. source: the file's name in errors.
    Raises DtoolError for an unknown class, for values of a wrong type or size, and for such that contradict each other.
    """
    values = open_config(config, class_name, source)
    schedule = _read_schedule(values)
    task = Task(values, schedule)
    prediction, time = _read_prediction(values)
    clip, clip_range, threshold, threshold_max = _read_clipping(values)
    recipe = choose_recipe(task, tokens=tokens, pipeline=pipeline)
    return SchedulerReading(
        kind=values.kind,
        schedule=schedule.token or schedule,
        prediction=prediction,
        time=time,
        clip=clip,
        clip_range=clip_range,
        threshold=threshold,
        threshold_max=threshold_max,
        learned_variance=values["variance_type"] in ("learned", "learned_range"),
        recipe=recipe,
        differences=tuple(task.differences),
        assumptions=tuple(task.assumptions),
        adapter=_read_adapter(values),
    )


def _read_schedule(values: SchedulerConfig) -> Schedule:
    """The training schedule; raises DtoolError if there is none such."""
    steps = values.whole("num_train_timesteps", 2, MAX_STEPS)
    try:
        if values.kind in _FLOW or values.flag("use_flow_sigmas"):
            return get_scheduler("flow", T=steps)
        if values["sigma_data"] is not None:
            bounds = {key: values.positive(key) for key in ("sigma_min", "sigma_max", "rho")}
            return get_scheduler("edm", T=steps, **bounds)
        if is_continuous(values):
            bounds = {key: values.positive(key) for key in ("sigma_min", "sigma_max")}
            return get_scheduler("edm", T=steps, **bounds)
        if values["trained_betas"] is not None:
            return _read_betas(values, steps)
        return _name_schedule(values, steps)
    except UsageError as error:
        raise DtoolError(f"{values.source}: its training schedule cannot be had: {error}", error.hint) from error


def is_continuous(values: SchedulerConfig) -> bool:
    """Whether the levels are those between sigma_min and sigma_max, and the network is told ¼ ln σ."""
    kinds = ("discrete", "continuous")
    named = values["timestep_type"] is not None and values.word("timestep_type", kinds) == "continuous"
    bounded = None not in (values["sigma_min"], values["sigma_max"])
    return named and bounded and values["prediction_type"] == "v_prediction"


def _read_betas(values: SchedulerConfig, steps: int) -> Schedule:
    betas = values["trained_betas"]
    if not isinstance(betas, list | tuple) or len(betas) > MAX_STEPS:
        raise values.wrong("trained_betas", "a list of numbers")
    if not all(isinstance(beta, int | float) and not isinstance(beta, bool) for beta in betas):
        raise values.wrong("trained_betas", "a list of numbers")
    if len(betas) != steps:
        raise values.contradiction(f"{len(betas)} trained_betas for {steps} num_train_timesteps")
    return from_betas([float(beta) for beta in betas])


def _name_schedule(values: SchedulerConfig, steps: int) -> Schedule:
    """A schedule by name. Ours of β are scaled by 1000/T, and theirs are not."""
    name = _SCHEDULES[values.word("beta_schedule", [*_SCHEDULES])]
    if not name:
        raise values.wrong("beta_schedule", "linear, scaled_linear, squaredcos_cap_v2, sigmoid or exp")
    options: dict[str, Any] = {"T": steps}
    if name not in ("cosine", "exp"):
        ends = {key: values.number(key, 0, 1) * steps / 1000 for key in ("beta_start", "beta_end")}
        if ends["beta_start"] > ends["beta_end"]:
            raise values.contradiction("beta_start is above beta_end")
        options |= ends
    if values.flag("rescale_betas_zero_snr"):
        options["zero_snr"] = True
    return get_scheduler(name, **options)


def _read_prediction(values: SchedulerConfig) -> tuple[str, str]:
    """(prediction, time) as a network's spec has them."""
    if values.kind in _FLOW:
        return "flow", "index+1"
    if values.kind == _CONSISTENCY:
        return "x0", "sigma"
    if values.kind in _EDM:
        data = values.positive("sigma_data")
        values.word("prediction_type", ["epsilon", "v_prediction"])
        return f"edm:sigma_data={data!r}", "log-sigma/4"
    if is_continuous(values):
        return "edm:sigma_data=1.0", "log-sigma/4"
    prediction = _PREDICTIONS[values.word("prediction_type", [*_PREDICTIONS])]
    if values.flag("use_flow_sigmas"):
        return prediction, "index+1"
    if prediction == "flow":
        raise values.contradiction("prediction_type is flow_prediction, and use_flow_sigmas is not set")
    return prediction, "index"


def _read_adapter(values: SchedulerConfig) -> ConsistencyBoundary | NegatedOutput | None:
    if values.kind == _CONSISTENCY:
        return ConsistencyBoundary(values.positive("sigma_data"), values.positive("sigma_min"))
    negated = is_continuous(values) or (values.kind in _EDM and values["prediction_type"] == "v_prediction")
    return NegatedOutput() if negated else None


def _read_clipping(values: SchedulerConfig) -> tuple[bool, float, float | None, float | None]:
    """(clip, its range, quantile of dynamic thresholding, its bound): thresholding goes before clipping."""
    if values.flag("thresholding") and values.kind != "TCDScheduler":
        share = values.number("dynamic_thresholding_ratio", 0, 1)
        most = values.number("sample_max_value", 1)
        if share == 0:
            raise values.wrong("dynamic_thresholding_ratio", "a number above 0")
        return True, 1.0, *((share, most) if most > 1 else (None, None))  # at 1 it is clipping
    if values.kind == _CONSISTENCY:
        return values.flag("clip_denoised"), 1.0, None, None
    if values.flag("clip_sample") and values.kind != "TCDScheduler":  # TCD has the key, and no clipping
        return True, values.positive("clip_sample_range"), None, None
    return False, 1.0, None, None
