"""What a schedule's tables of levels must be, and what is said of one that is not."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from dtool.errors import UsageError
from dtool.schedulers.levels import compute_lam
from dtool.util.arrays import Array

MAX_STEPS = 10**6  # of a schedule: a thousand times what is usual, and a table of 16 MB


def read_numbers(what: str, values: ArrayLike, hint: str) -> Array:
    """The values as float64; raises UsageError for what is not numbers. what: "the betas are", as the error begins."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise UsageError(f"{what} no table of numbers ({error})", hint) from error


def check_table(name: str, values: ArrayLike) -> Array:
    """Levels as float64 `(T,)`; raises UsageError for what is no table of finite numbers."""
    table = read_numbers(f"the schedule's {name} is", values, "give one per step")
    if table.ndim != 1 or table.size == 0:
        raise UsageError(f"the schedule's {name} is a table of shape {table.shape}", "give (T,): one number per step")
    if table.size > MAX_STEPS:
        raise UsageError(f"a schedule of {table.size} steps is too long", f"use at most {MAX_STEPS}")
    wrong = np.flatnonzero(~np.isfinite(table))
    if wrong.size and np.isnan(table[wrong[0]]):
        raise UsageError(
            f"the schedule's {name} is not a finite table: it is no number at step {wrong[0]}",
            "look at the numbers that it was made from",
        )
    if wrong.size:
        raise UsageError(
            f"the schedule's {name} is not a finite table: at step {wrong[0]} it is larger than float64 can hold",
            "let the noisy end have less noise",
        )
    return table


def require_rising(alpha: Array, sigma: Array) -> None:
    """Raise UsageError unless there is noise everywhere, more at each step, and signal before the last: say where."""
    if alpha.shape != sigma.shape:
        raise UsageError(f"alpha has {alpha.size} levels and sigma {sigma.size}", "give one of each per step")
    if (alpha < 0).any() or (sigma < 0).any():
        raise UsageError("the schedule has levels below 0", "alpha and sigma are at least 0")
    if (sigma == 0).any():
        raise UsageError(
            f"sigma is 0 at step {np.argmax(sigma == 0)} of the schedule: no noise, or less than float64 can hold",
            "let the clean end have more noise: a smaller log(alpha/sigma)",
        )
    if (alpha[:-1] == 0).any():
        raise UsageError(
            f"alpha is 0 at step {np.argmax(alpha == 0)} of the schedule already: no signal, or less than float64 "
            "can hold, and more noise than that there is not",
            "let the noisy end have less noise: a larger log(alpha/sigma)",
        )
    rises = np.diff(compute_lam(alpha, sigma)) < 0
    if not rises.all():
        step = int(np.argmin(rises))
        raise UsageError(
            f"the noise level does not rise at every step of the schedule: from {step} to {step + 1} it does not",
            "list the levels from the least noise to the most, each of them different",
        )
