"""What is done now and then in a run: every so many steps, or after so much time."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from dtool.errors import UsageError


@dataclass(frozen=True)
class Period:
    """`500` steps, or `300s`, `5m` of time."""

    steps: int = 0
    seconds: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Period:
        """Raises `UsageError` for anything but a positive number with s, m, h or nothing behind it."""
        match = re.fullmatch(r"(\d{1,18})([smh]?)", text.strip())
        if not match or not int(match[1]):
            raise UsageError(f"{text!r} is not an interval", "give a number of steps, or a time such as 90s or 5m")
        number, unit = int(match[1]), match[2]
        return cls(seconds=number * {"s": 1, "m": 60, "h": 3600}[unit]) if unit else cls(steps=number)

    def due(self, step: int, seconds: float) -> bool:
        """Whether it is time, at `step`, `seconds` after the last one."""
        return step % self.steps == 0 if self.steps else seconds >= self.seconds


FIVE_MINUTES = Period(seconds=300)


class Repeated:
    """Something that is done now and then."""

    def __init__(self, period: Period, do: Callable[[], None]) -> None:
        self.period, self.do, self.last = period, do, time.monotonic()

    def run_if_due(self, step: int) -> None:
        """Do it, if it is time at `step`."""
        if self.period.due(step, time.monotonic() - self.last):
            self.do()
            self.last = time.monotonic()
