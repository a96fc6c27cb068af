"""The errors that dtool raises on purpose: one line of cause, one line of remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DtoolError(Exception):
    """Something went wrong that a person can mend.

    `str(error)` is the cause; `hint` is the remedy, a sentence that says what to type or change.
    `exit_code` is what the command line exits with.
    """

    exit_code = 1

    def __init__(self, cause: str, hint: str = "") -> None:
        super().__init__(cause)
        self.hint = hint
        if hint:
            self.add_note(f"hint: {hint}")  # a traceback shows it too


class UsageError(DtoolError, ValueError):
    """The request itself is wrong: an unknown name, an option that does not exist, a value out of range."""

    exit_code = 2


class CompileError(UsageError):
    """A rule that cannot be written as a table, or a grid that no rule can walk."""


class PluginError(DtoolError):
    """What a plugin offers cannot be used, by a fault of its own."""


class GateError(DtoolError):
    """The work was done, and its result fails the bar that was asked for."""

    exit_code = 3


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """The hint for an unknown name: the closest known ones, or all of them if none is close."""
    names = sorted(known)
    close = difflib.get_close_matches(given.lower(), names, n=3, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(close) + "?"
    return "known: " + ", ".join(names)
