"""Data as JSON can hold it, and text as a terminal can take it."""

from __future__ import annotations

import json
import unicodedata
from math import isfinite
from typing import Any

_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # controls, formats such as bidi overrides, surrogates, separators of lines
_JOINERS = "\u200c\u200d"  # of letters and of emoji: they belong to words


def replace_nonfinite(value: Any) -> Any:
    """`value` and all in it, NumPy's too, with None for every number that is not finite: JSON has no others."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(name): replace_nonfinite(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [replace_nonfinite(inner) for inner in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def escape_controls(text: object, keep: str = "") -> str:
    r"""`text` with every character that a terminal would obey, not show, as an escape: "\x1b" and the like.

    keep: of these characters, such as a new line, those that may stay. What cannot be made text is named by its type.
    """
    plain = text if type(text) is str else safe_str(text)
    if plain.isascii() and plain.isprintable():
        return plain
    return "".join(
        _escape_character(letter) if _is_unseen(letter) and letter not in keep else letter for letter in plain
    )


def escape_json(text: str) -> str:
    r"""JSON with the characters that a terminal would obey as JSON's own escapes, "\u009b" and the like."""
    if text.isascii() and "\x7f" not in text:
        return text
    return "".join(
        _escape_json_character(letter) if letter != "\n" and _is_unseen(letter) else letter for letter in text
    )


def to_line(text: object) -> str:
    """`escape_controls`, on one line: any white space is one space."""
    return escape_controls(" ".join((text if type(text) is str else safe_str(text)).split()))


def safe_str(value: object) -> str:
    """`str(value)`; its type where that fails, as it may for a stranger's object."""
    try:
        return str.__str__(str(value))
    except Exception:
        return f"<{type(value).__name__}>"


def format_exception(error: BaseException, longest: int = 300) -> str:
    """An exception as one line that is safe to print: its type and what it says."""
    text = to_line(f"{type(error).__name__}: {safe_str(error)}".removesuffix(": "))
    return text if len(text) <= longest else text[: longest - 1] + "…"


def get_first_line(error: BaseException, longest: int = 160) -> str:
    """The first line of what another library says in an error, cut off; the kind of its error if it says nothing."""
    return (safe_str(error).strip().splitlines() or [type(error).__name__])[0][:longest]


def _escape_json_character(letter: str) -> str:
    return json.dumps(letter)[1:-1] if ord(letter) != 127 else r"\u007f"


def _is_unseen(letter: str) -> bool:
    return letter not in _JOINERS and unicodedata.category(letter) in _UNSEEN


def _escape_character(letter: str) -> str:
    return letter.encode("ascii", "backslashreplace").decode() if ord(letter) > 127 else f"\\x{ord(letter):02x}"
