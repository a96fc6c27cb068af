"""How far is too far: what the checks of a GPU have in common."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtool.certify.result import CheckResult

BAR = 1e-3


def furthest(one: Any, other: Any) -> float:
    """The largest difference; NaN if there is one anywhere."""
    return float(np.abs(np.asarray(one, np.float64) - np.asarray(other, np.float64)).max())


def within(name: str, apart: float, detail: str, bar: float = BAR) -> CheckResult:
    """Passed if `apart` is at most the bar; NaN is not."""
    return CheckResult(name, "pass" if apart <= bar else "fail", f"{apart:.1e}", f"{detail}; allowed {bar:.0e}")


def equal(name: str, made: Any, wanted: Any) -> CheckResult:
    """Passed if every number has the same bits."""
    made, wanted = np.asarray(made, np.float32), np.asarray(wanted, np.float32)
    wrong = int((made.view(np.uint32) != wanted.view(np.uint32)).sum()) if made.shape == wanted.shape else made.size
    return CheckResult(name, "fail" if wrong else "pass", f"{wrong} of {wanted.size}", "numbers that differ")
