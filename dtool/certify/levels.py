"""What a noise schedule and a spacing must be: levels that rise, times that fall, as many as the steps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dtool.certify import rounding
from dtool.certify.result import CheckResult
from dtool.errors import UsageError
from dtool.samplers import get_sampler
from dtool.schedulers import get_scheduler
from dtool.schedulers.levels import Coordinates, compute_lam
from dtool.schedulers.schedule import Schedule
from dtool.spacings.spacing import Spacing, WrongTimesError
from dtool.util.arrays import Array

# What α and σ satisfy in each of the coordinates, as an expression that is 1.
_POWER: dict[Coordinates, tuple[str, Callable[[Schedule], Array]]] = {
    "vp": ("α² + σ²", lambda table: table.alpha**2 + table.sigma**2),
    "ve": ("α", lambda table: table.alpha),
    "flow": ("α + σ", lambda table: table.alpha + table.sigma),
    "sub-vp": ("α² + σ", lambda table: table.alpha**2 + table.sigma),
}


_TEST_SCHEDULES = ("cosine:T=1", "cosine:T=2", "linear:T=50", "cosine:T=50,zero_snr=true", "edm:T=50", "flow:T=50")


def examine_levels(name: str, table: Schedule) -> CheckResult:
    """α and σ are in the schedule's coordinates, and there is more noise at every step."""
    what, power = _POWER[table.coordinates]
    error = float(np.abs(power(table) - 1).max())
    falls = bool((np.diff(table.lam) < 0).all())
    detail = (
        f"|{what} - 1| over {table.T} levels, at most 1e-12; λ {'falls' if falls else 'does not fall'} at every step"
    )
    return CheckResult(name, "pass" if error <= 1e-12 and falls else "fail", f"{error:.1e}", detail)


def examine_inverse(name: str, table: Schedule) -> CheckResult:
    """Time to level and back, between whole times too; a whole time is the table's own entry."""
    times = np.concatenate([np.arange(table.T), np.random.default_rng(0).uniform(0, table.T - 1, 200)])
    alpha, sigma = table.level(times)
    exact = bool((alpha[: table.T] == table.alpha).all() and (sigma[: table.T] == table.sigma).all())
    error = float(np.abs(table.time(compute_lam(alpha, sigma)) - times).max()) / table.T
    detail = (
        f"t to λ to t, in parts of T, at most 1e-6; whole times {'are' if exact else 'are not'} the table's entries"
    )
    return CheckResult(name, "pass" if error <= 1e-6 and exact else "fail", f"{error:.1e}", detail)


def examine_samples(name: str, table: Schedule) -> CheckResult:
    """A sampler that runs on it ends at images, whichever prediction the network makes, in float32 too."""
    loss, prediction = rounding.rounding_loss(get_sampler("ddim"), table)
    good = loss <= rounding.BAR
    detail = f"ddim in 1 and in {rounding.STEPS[-1]} steps, float32, on data N(0, ¼); off by at most {rounding.BAR}"
    if not good:
        detail = f"{rounding.describe_loss(table, prediction)} ({detail})"
    return CheckResult(name, "pass" if good else "fail", f"{loss:.1e}", detail)


def examine_steps(name: str, place: Spacing) -> CheckResult:
    """Exactly n falling times on the schedule, for every n from 1 to T, or a refusal that says why.

    Of a spacing that rises, n of its steps lead down.
    """
    wrong, refused, cases = [], [], 0
    for table in [get_scheduler(token) for token in _TEST_SCHEDULES]:
        for n in range(1, table.T + 1):
            cases += 1
            try:
                place(table, n)  # which itself raises for times that are not n, do not fall, or are not on the schedule
            except WrongTimesError as error:
                wrong.append(f"{n} of {table.token}: {error}")
            except UsageError as error:
                refused.append(str(error))
    if len(refused) == cases and not any(field.is_required() for field in place.model.model_fields.values()):
        return CheckResult(name, "fail", f"0/{cases}", f"always refused, e.g. {refused[-1]}")
    if len(refused) == cases:
        return CheckResult(name, "skip", "-", f"always refused, e.g. {refused[-1]}")
    remark = f"; {len(refused)} refused, e.g. {refused[-1]}" if refused else ""
    what = "n steps down" if place.rises else "n falling times"
    detail = wrong[0] if wrong else f"exactly {what} within the schedule, for every n from 1 to T{remark}"
    return CheckResult(name, "fail" if wrong else "pass", f"{cases - len(wrong) - len(refused)}/{cases}", detail)
