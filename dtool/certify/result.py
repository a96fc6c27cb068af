"""The result of one certificate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf, isnan
from typing import Literal

Status = Literal["pass", "fail", "info", "skip"]


@dataclass(frozen=True)
class CheckResult:
    """One line of a report.

    `status`: "pass" or "fail"; "info" is a figure that says something and forbids nothing; "skip" could not be
    examined here. `figure`: what was measured, in a few characters. `detail`: on what, against which bar, and why.

    >>> marginals = next(dtool.certify.checks("ddim"))()
    >>> marginals.name, marginals.status
    ('marginals', 'pass')
    """

    name: str
    status: Status
    figure: str
    detail: str


def largest(values: Iterable[float]) -> float:
    """The largest of several deviations: NaN counts as infinite, and so does an empty sequence.

    Python's own max goes past NaN, and a certificate that has seen nothing would have nothing against a rule.
    """
    return max((inf if isnan(value) else value for value in values), default=inf)
