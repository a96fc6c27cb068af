"""What one certificate found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["pass", "fail", "info", "skip"]


@dataclass(frozen=True)
class CheckResult:
    """One line of a report.

    `status`: "pass" or "fail"; "info" is a figure that says something and forbids nothing; "skip" could not be
    examined here. `figure`: what was measured, in a few characters. `detail`: on what, against which bar, and why.
    """

    name: str
    status: Status
    figure: str
    detail: str
