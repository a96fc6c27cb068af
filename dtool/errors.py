"""The errors that dtool raises on purpose: one line of cause, one line of remedy."""

from __future__ import annotations

from collections.abc import Iterable


class DtoolError(Exception):
    """Something went wrong that a person can mend.

    `str(error)` is the cause; `hint` is the remedy, a sentence that says what to type or change.
    `exit_code` is what the command line exits with.

    >>> try:
    ...     dtool.get_scheduler("kosine")
    ... except dtool.DtoolError as error:
    ...     print(error, error.hint, error.exit_code, sep="; ")
    there is no scheduler 'kosine'; did you mean cosine or vdm-cosine or simple-diffusion?; 2
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


MAX_COMPARED = 100  # letters of a word that others are compared with: it takes their product
MAX_VALUE_LENGTH = 60  # characters of a value in an error
MAX_LISTED = 20  # names that a hint lists at most


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """The hint for an unknown name: the closest known ones, or all of them if none is close; never `given` itself."""
    names = sorted(name for name in set(known) if name != given)
    close = find_closest(given, names)
    if close:
        return "did you mean " + " or ".join(close) + "?"
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED + 1 else ""
    return "known: " + ", ".join(names[:MAX_LISTED] if more else names) + more


def find_closest(given: str, names: Iterable[str]) -> list[str]:
    """At most three of the names that are like `given`, whatever the case, the closest first."""
    spelt: dict[str, str] = {}
    for name in names:
        spelt.setdefault(name.lower(), name)
    import difflib  # it is needed for a mistake alone

    return [spelt[one] for one in difflib.get_close_matches(given.lower()[:MAX_COMPARED], spelt, n=3, cutoff=0.5)]


def format_value(value: object) -> str:
    """`value` as an error names it: in one line, and not at any length."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # a number of more digits than Python writes, say
        text = f"a {type(value).__name__}"
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= MAX_VALUE_LENGTH else text[: MAX_VALUE_LENGTH - 1] + "…"
