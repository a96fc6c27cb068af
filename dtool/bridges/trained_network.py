"""What a lent sampler knows of a network that another library calls: its schedule, prediction, times and clipping."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dtool.errors import UsageError
from dtool.models.readers.diffusers_scheduler import read_scheduler_config
from dtool.models.time_convention import TimeConvention, tell_times
from dtool.run.clipping import Clipping, Threshold, parse_threshold
from dtool.samplers.rule import Prediction
from dtool.schedulers import get_scheduler
from dtool.schedulers.schedule import Schedule

SILENT = "DDIMScheduler"  # of what class a config is taken to be that does not say: its keys hold what matters here


@dataclass(frozen=True)
class TrainedNetwork:
    """A network that is called by others: `schedule` and `prediction` as it was trained, and how it is told the time.

    limit: what its predicted images are kept to, None for nothing.
    """

    schedule: Schedule
    prediction: Prediction
    time: TimeConvention = "index"
    limit: Clipping | None = None

    def tell(self, times: ArrayLike) -> NDArray[np.float64]:
        """What the network is told for these indices into its schedule."""
        return tell_times(self.time, self.schedule, np.asarray(times, dtype=np.float64))


def read_trained_network(config: Mapping[str, Any], *, clip: bool | None, threshold: Any) -> TrainedNetwork:
    """What the config of a scheduler of diffusers says of the network; clip and threshold take precedence.

    Raises DtoolError for a config that cannot be read, UsageError for a network that no recipe can serve.
    """
    said = read_scheduler_config(config, class_name=config.get("_class_name", SILENT))
    if said.adapter is not None:
        raise UsageError(
            f"{config.get('_class_name')} turns the network's output into another prediction by itself",
            "open the folder or the pipeline with dtool.load, which knows how",
        )
    schedule = get_scheduler(said.schedule) if isinstance(said.schedule, str) else said.schedule
    own = None if said.threshold is None else Threshold(said.threshold, said.threshold_max)
    reach = 1.0 if own else said.clip_range
    limit = _choose_limit(said.clip if clip is None else clip, parse_threshold(threshold) or own, reach)
    return TrainedNetwork(schedule, said.prediction, cast("TimeConvention", said.time), limit)


def describe_trained_network(
    schedule: str, prediction: Prediction, *, clip: bool | None, threshold: Any
) -> TrainedNetwork:
    """A network that was trained on this schedule, by its name, and predicts that."""
    limit = _choose_limit(bool(clip), parse_threshold(threshold), 1.0)
    return TrainedNetwork(get_scheduler(schedule), prediction, limit=limit)


def _choose_limit(clip: bool, threshold: Threshold | None, reach: float) -> Clipping | None:
    if threshold is not None:
        return Clipping(-1.0, 1.0, *threshold)
    return Clipping(-reach, reach) if clip else None


def read_config(trained: Any) -> dict[str, Any]:
    """The config of a scheduler of diffusers, or what is one, as plain values with its class; empty for none.

    Of one of dtool's own, what it was told of the network. Raises UsageError for what is neither.
    """
    if trained is None:
        return {}
    kind = None if isinstance(trained, Mapping) else type(trained).__name__
    config = trained if isinstance(trained, Mapping) else getattr(trained, "config", None)
    if not isinstance(config, Mapping):
        raise UsageError(f"{kind} is no scheduler of diffusers", "give pipe.scheduler, or its config")
    if "recipe" in config:
        return dict(config["trained"] or {})
    kept = {key: value for key, value in config.items() if not key.startswith("_")}
    name = kind or config.get("_class_name")
    return kept | ({"_class_name": name} if name else {})
