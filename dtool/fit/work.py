"""How a fit is watched and ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from dtool.plan.compiled_plan import Plan


@dataclass(kw_only=True)
class Work:
    """on_better(plan): after every better table. tell(what): what is being done. deadline: of `time.monotonic`."""

    on_better: Callable[[Plan], None] = lambda _: None
    tell: Callable[[str], None] = lambda _: None
    deadline: float = float("inf")

    def is_over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() > self.deadline
