"""What is said of a network's file that does not say it itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from dtool.errors import UsageError, did_you_mean
from dtool.models.conditions import Condition
from dtool.models.spec import LevelTable, NetworkSpec, PixelStatistics
from dtool.models.time_convention import TimeConvention
from dtool.samplers.rule import Prediction
from dtool.schedulers.schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class Description:
    """Fields of `NetworkSpec`, each None where nothing is said of it; they are checked where they become a spec."""

    schedule: str | Schedule | None = None
    prediction: Prediction | None = None
    shape: tuple[int, ...] | None = None
    classes: int | None = None
    null_class: bool | None = None
    data_range: tuple[float, float] | None = None
    learned_variance: bool | None = None
    class_names: tuple[str, ...] | None = None
    guidance: float | None = None
    guidance_interval: tuple[float, float] | None = None
    clip: bool | None = None
    time: TimeConvention | None = None
    conditions: tuple[Condition, ...] | None = None
    clip_range: float | None = None
    threshold: float | None = None
    threshold_max: float | None = None
    betas: tuple[float, ...] | None = None
    levels: LevelTable | None = None
    statistics: PixelStatistics | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is said."""
        return not self.to_fields()

    def to_fields(self) -> dict[str, Any]:
        """The fields of which something is said, with their values."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


UNDESCRIBED = Description()


def describe_source(spec: NetworkSpec | Mapping[str, Any] | None) -> NetworkSpec | Description:
    """A whole spec as it is; single fields, or None, as a `Description`. Raises UsageError for a field that is none."""
    if isinstance(spec, NetworkSpec):
        return spec
    said = dict(spec or {})
    known = [field.name for field in fields(Description)]
    for name in said:
        if name not in known:
            raise UsageError(f"spec: a network has no {name!r}", did_you_mean(str(name), known))
    return Description(**said)
