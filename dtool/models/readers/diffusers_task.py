"""What a recipe is made from, and where is written down what it is not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dtool.models.readers.diffusers_config import SchedulerConfig
from dtool.samplers import get_sampler
from dtool.schedulers.schedule import Schedule
from dtool.spacings import get_spacing


@dataclass(frozen=True)
class Task:
    """A config and its training schedule; and, while a recipe is chosen for them, in what it is not exactly theirs."""

    values: SchedulerConfig
    schedule: Schedule
    differences: list[str] = field(default_factory=list)
    assumptions: list[str] = field(default_factory=list)

    def differ(self, sentence: str) -> None:
        """Write down a difference."""
        self.differences.append(sentence)


def format_sampler(name: str, **options: Any) -> str:
    """A sampler as it is written in a recipe, without the options that are None."""
    return get_sampler(name).bind(**{key: value for key, value in options.items() if value is not None}).token


def format_spacing(name: str, **options: Any) -> str:
    """A spacing as it is written in a recipe, without the options that are None."""
    return get_spacing(name).bind(**{key: value for key, value in options.items() if value is not None}).token
