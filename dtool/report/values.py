"""Values for the page: JSON that is safe inside HTML, and numbers as readable text."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from typing import Any

import numpy as np

# A browser reads these before it parses the JSON or JavaScript in <script>; U+2028/9 end lines in old engines.
_UNSAFE = "<>&\u2028\u2029"
DASH = "–"
MINUS = "−"


def to_plain(value: Any) -> Any:
    """`value` as plain JSON data: arrays become lists, numbers that are not finite None, keys text."""
    if isinstance(value, np.ndarray):
        return to_plain(value.tolist())
    if isinstance(value, np.generic):
        return to_plain(value.item())
    if isinstance(value, dict):
        return {str(key): to_plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(part) for part in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return str(value)


def encode_script_json(value: Any) -> str:
    """`value` as JSON that can stand inside a <script> element, whatever names it holds."""
    text = json.dumps(to_plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for letter in _UNSAFE:
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def hash_script(text: str) -> str:
    """The source expression of a content security policy that allows this script and no other."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def to_finite(value: Any) -> float | None:
    """`value` as a float, or None if it is no finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        return None
    return float(value) if math.isfinite(value) else None


def format_number(value: Any, digits: int = 3) -> str:
    """A number to `digits` significant digits, whole numbers in full, a dash for anything else."""
    if (number := to_finite(value)) is None:
        return DASH
    if number == 0 or (number.is_integer() and abs(number) < 1e6):
        text = f"{number:.0f}"
    elif 1e-4 <= abs(number) < 1e6:
        decimals = max(0, digits - 1 - math.floor(math.log10(abs(number))))
        text = f"{number:.{decimals}f}"
    else:
        text = f"{number:.{digits - 1}e}"
    return text.replace("-", MINUS)


def format_seconds(value: Any) -> str:
    """A duration in the unit that suits it: µs, ms, s or min."""
    if (seconds := to_finite(value)) is None:
        return DASH
    for limit, scale, unit in ((1e-3, 1e6, "µs"), (1.0, 1e3, "ms"), (120.0, 1.0, "s")):
        if seconds < limit:
            return f"{format_number(seconds * scale)} {unit}"
    return f"{format_number(seconds / 60)} min"


def format_span(low: Any, high: Any) -> str:
    """An interval, or "" if an end is missing or both are equal."""
    if to_finite(low) is None or to_finite(high) is None or low == high:
        return ""
    return f"{format_number(low)} … {format_number(high)}"
