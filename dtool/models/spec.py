"""What must be known about a network besides its weights. Stored with every checkpoint and export."""

from __future__ import annotations

import warnings
from math import isfinite, prod
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from dtool.errors import DtoolError, UsageError
from dtool.models.conditions import RESERVED, Condition
from dtool.models.time_convention import TimeConvention, tell_times
from dtool.plan.parametrization import normalize_prediction
from dtool.samplers.rule import Prediction
from dtool.schedulers import get_scheduler
from dtool.schedulers.level_tables import MAX_STEPS
from dtool.schedulers.levels import Coordinates
from dtool.schedulers.schedule import UNNAMED, Schedule, from_betas
from dtool.util.file_references import contain_names
from dtool.util.options import describe_mistake

MAX_CLASSES = 10**6
MAX_NUMBERS = 1 << 32  # of one sample: 16 GB


class PixelStatistics(BaseModel):
    """Mean and covariance of the training images, pooled to a few pixels: what `compare` measures samples against.

    `grid` is the pooled size (rows, columns); features are channel-major, `mean` has d entries, `covariance` d rows.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    grid: tuple[int, int]
    count: int = Field(gt=1)
    mean: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]


class LevelTable(BaseModel):
    """A training schedule in numbers, where its name alone would not give it everywhere: see `Schedule`.

    `alpha`, `sigma`: a number for each training step, the least noise first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    coordinates: Coordinates
    alpha: tuple[float, ...] = Field(min_length=1, max_length=MAX_STEPS)
    sigma: tuple[float, ...] = Field(min_length=1, max_length=MAX_STEPS)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.alpha) != len(self.sigma):
            raise ValueError(f"{len(self.alpha)} numbers of alpha and {len(self.sigma)} of sigma: give as many of each")
        return self


class NetworkSpec(BaseModel):
    """The contract of one trained network `F(x, t[, label][, conditions])`.

    `x` is `(B, *shape)` float32 in the schedule's coordinates; with the prediction `edm` it is scaled by EDM's c_in.
    `t` is `(B,)` float32, by `time` a (fractional) index into the training schedule, 0 … T-1, or another number.
    `label` is `(B,)` int64 in 0 … classes-1, or, with a `null_class`, `classes` itself, which means "no class"; further
    `conditions` are arrays by name. F is `(B, *output_shape)`.

    >>> spec = dtool.NetworkSpec(shape=(1, 28, 28), schedule="cosine", prediction="v")
    >>> spec.data_range, spec.classes, spec.clip
    ((-1.0, 1.0), 0, False)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shape: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        min_length=1, max_length=8, description="one sample, e.g. (1, 28, 28)"
    )
    schedule: str = Field(description="the training schedule as written in a recipe, e.g. cosine:max_beta=0.999")
    betas: tuple[float, ...] | None = Field(
        None, max_length=MAX_STEPS, description="the β of a discrete chain, in the place of a schedule that has a name"
    )
    levels: LevelTable | None = Field(None, description="any other schedule that no name gives everywhere")
    prediction: Prediction = "eps"
    time: TimeConvention = Field("index", description="what the network is told as its time")
    conditions: tuple[Condition, ...] = Field((), max_length=32, description="what it takes besides x, t and a class")
    classes: int = Field(0, ge=0, le=MAX_CLASSES, description="0: not conditional")
    class_names: tuple[str, ...] = ()
    null_class: bool | None = Field(
        default=True, description="whether the label `classes` was trained to mean no class; None: that is not known"
    )
    guidance: float = Field(
        1.0, ge=0, allow_inf_nan=False, description="default guidance scale; 1 is the conditional network itself"
    )
    guidance_interval: tuple[float, float] | None = Field(
        None, description="λ = log(α/σ) between which that guidance is recommended; None: everywhere"
    )
    data_range: tuple[float, float] = (-1.0, 1.0)
    clip: bool = Field(False, description="whether sampling clips the predicted image to data_range by default")
    clip_range: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="halves of data_range that clipping keeps to, in place of 1"
    )
    threshold: float | None = Field(
        None, gt=0, le=1, description="with clip: by default dynamic thresholding, at this quantile"
    )
    threshold_max: float | None = Field(
        None, ge=1, allow_inf_nan=False, description="what that quantile counts for at most, in halves of data_range"
    )
    learned_variance: bool = Field(
        default=False, description="the output has twice the channels, the second half for σ²"
    )
    statistics: PixelStatistics | None = None

    @field_validator("prediction")
    @classmethod
    def _normalize_prediction(cls, word: str) -> str:
        try:
            return normalize_prediction(word)
        except UsageError as error:
            raise ValueError(f"{error} ({error.hint})") from error

    @model_validator(mode="before")
    @classmethod
    def _resolve_schedule(cls, data: Any) -> Any:
        """A `Schedule`, or the name of one, as a name and, where that is not enough, its numbers."""
        if not isinstance(data, dict) or data.get("betas") is not None or data.get("levels") is not None:
            return data
        schedule = data.get("schedule")
        if not isinstance(schedule, str | Schedule):
            return data
        return data | describe_schedule(get_scheduler(schedule) if isinstance(schedule, str) else schedule)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.betas is not None and self.levels is not None:
            raise ValueError("betas and levels are two ways of giving a schedule: give one of them")
        if prod(self.shape) > MAX_NUMBERS:
            raise ValueError(f"a sample of shape {self.shape} is too large")
        low, high = self.data_range
        if not (isfinite(low) and isfinite(high) and low < high):
            raise ValueError(f"data_range is a lower and a higher number, not {low:g}, {high:g}")
        if self.guidance_interval is not None and not self.guidance_interval[0] < self.guidance_interval[1]:
            raise ValueError(f"guidance_interval is a lower and a higher λ, not {self.guidance_interval}")
        if self.class_names and len(self.class_names) != self.classes:
            raise ValueError(f"{len(self.class_names)} class_names for {self.classes} classes")
        names = [one.name for one in self.conditions]
        if len({*names, *RESERVED}) != len(names) + len(RESERVED):
            raise ValueError(f"two conditions of {', '.join(names)} share a name, or one is called x, t or label")
        levels = {one.name for one in self.conditions if one.shape == () and one.dtype == "float32"}
        for one in self.conditions:
            if one.noised_by is not None and (
                one.noised_by not in levels or one.noised_by == one.name or one.dtype != "float32" or None in one.shape
            ):
                raise ValueError(f"the noise on {one.name} has a level, which is a condition () of type float32")
        if self.classes and self.null_class is False and self.guidance != 1 and not self.conditions:
            raise ValueError(f"guidance={self.guidance:g} needs a label that means no class, and there is none")
        return self

    @property
    def clip_bounds(self) -> tuple[float, float]:
        """(low, high) that clipping keeps predicted images to: data_range, or `clip_range` halves of it."""
        if self.clip_range is None:
            return self.data_range
        middle, reach = sum(self.data_range) / 2, (self.data_range[1] - self.data_range[0]) / 2
        return middle - self.clip_range * reach, middle + self.clip_range * reach

    @property
    def labels(self) -> int:
        """How many labels it can be given, 0 … labels-1: its classes, and one for no class unless it has none."""
        return self.classes + (self.null_class is not False) if self.classes else 0

    @property
    def null_label(self) -> int:
        """The label that means no class, where there is one: the number after the last class's."""
        return self.classes

    @property
    def guidable(self) -> bool:
        """Whether classifier-free guidance can be had: there are classes, and a label that means none."""
        return self.labels > self.classes

    @property
    def is_conditional(self) -> bool:
        """Whether it is told anything besides x and the time."""
        return bool(self.classes or self.conditions)

    def tell(self, schedule: Schedule, times: ArrayLike) -> NDArray[np.float64]:
        """What the network is told for these indices into its training `schedule`: see `tell_times`."""
        return tell_times(self.time, schedule, np.asarray(times, dtype=np.float64))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the classes; where they have none, their numbers."""
        return self.class_names or tuple(str(i) for i in range(self.classes))

    @property
    def output_shape(self) -> tuple[int, ...]:
        """One sample's output: `shape`, or twice its channels with a learned variance."""
        return (2 * self.shape[0], *self.shape[1:]) if self.learned_variance else self.shape

    @classmethod
    def read(cls, text: str | bytes, source: str) -> NetworkSpec:
        """Parse the JSON that `model_dump_json` wrote; `source` names the file in the error."""
        try:
            with contain_names(source):
                spec = cls.model_validate_json(text)
                resolve_schedule(spec)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the document"
            own = first.get("ctx", {}).get("error")
            if isinstance(own, UsageError):
                raise DtoolError(f"{source}: its training schedule cannot be had: {own}", own.hint) from error
            raise DtoolError(
                f"{source}: the description of the network is not valid ({where}: {describe_mistake(first)})",
                "export or train the model again with this version of dtool",
            ) from error
        except UsageError as error:
            raise DtoolError(f"{source}: its training schedule cannot be had: {error}", error.hint) from error
        return spec


def resolve_schedule(spec: NetworkSpec) -> Schedule:
    """The training schedule that `spec` names or holds; raises UsageError if there is no such schedule."""
    if spec.levels is not None:
        alpha, sigma = (np.array(values, dtype=np.float64) for values in (spec.levels.alpha, spec.levels.sigma))
        return Schedule(alpha, sigma, coordinates=spec.levels.coordinates)
    return get_scheduler(spec.schedule) if spec.betas is None else from_betas(spec.betas)


def warn_of_scaling(schedule: Schedule) -> None:
    """Warn that the β of a schedule are scaled for its number of steps: whoever trained the network may not have."""
    if schedule.beta_scale != 1:
        first, last = schedule.betas[[0, -1]]
        warnings.warn(
            f"{schedule.token}: for {schedule.T} steps β is scaled by {schedule.beta_scale:.4g}, to {first:.4g} … "
            f"{last:.4g}; if the network was trained without that, divide the β in the options by it",
            stacklevel=4,
        )


def describe_schedule(schedule: Schedule) -> dict[str, Any]:
    """The fields of a spec that describe a schedule: its name, and its numbers if the name does not give them anywhere.

    What was read from a file is not described by that file's name: another machine does not have it.
    """
    if schedule.portable:
        return {"schedule": schedule.token}
    levels = LevelTable(
        coordinates=schedule.coordinates, alpha=tuple(schedule.alpha.tolist()), sigma=tuple(schedule.sigma.tolist())
    )
    return {"schedule": schedule.token.partition(":")[0] or UNNAMED, "levels": levels.model_dump()}
