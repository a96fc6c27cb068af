"""Values on their way into the page: JSON that a browser takes, numbers as a reader wants them, text kept short."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from typing import Any

import numpy as np

# Inside <script> a browser looks for these before it looks at JSON or JavaScript; U+2028/9 end lines in old engines.
_UNSAFE = "<>&\u2028\u2029"
DASH = "–"
MINUS = "−"


def plain(value: Any) -> Any:
    """`value` as plain JSON data: arrays become lists, numbers that are not finite None, keys text."""
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return str(value)


def script_json(value: Any) -> str:
    """`value` as JSON that can stand inside a <script> element, whatever names it holds."""
    text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for letter in _UNSAFE:
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def script_hash(text: str) -> str:
    """The source expression of a content security policy that allows this script and no other."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def finite(value: Any) -> float | None:
    """`value` as a float, or None if it is no finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        return None
    return float(value) if math.isfinite(value) else None


def number(value: Any, digits: int = 3) -> str:
    """A number to `digits` significant digits, whole numbers in full, a dash for what is none."""
    if (found := finite(value)) is None:
        return DASH
    if found == 0 or (found.is_integer() and abs(found) < 1e6):
        text = f"{found:.0f}"
    elif 1e-4 <= abs(found) < 1e6:
        decimals = max(0, digits - 1 - math.floor(math.log10(abs(found))))
        text = f"{found:.{decimals}f}"
    else:
        text = f"{found:.{digits - 1}e}"
    return text.replace("-", MINUS)


def seconds(value: Any) -> str:
    """A duration in the unit that suits it: µs, ms, s or min."""
    if (found := finite(value)) is None:
        return DASH
    for limit, scale, unit in ((1e-3, 1e6, "µs"), (1.0, 1e3, "ms"), (120.0, 1.0, "s")):
        if found < limit:
            return f"{number(found * scale)} {unit}"
    return f"{number(found / 60)} min"


def span(low: Any, high: Any) -> str:
    """An interval, or nothing if an end of it is missing, or it is a single number."""
    if finite(low) is None or finite(high) is None or low == high:
        return ""
    return f"{number(low)} … {number(high)}"
