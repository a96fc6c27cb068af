"""Values that arguments spell as text: lists of numbers, ranges, class names."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import inf, nan
from typing import TypeVar

from dtool.errors import UsageError

T = TypeVar("T", int, float)

MOST_IDS = 10**7  # of a run; a list of the 2^32 that there are would fill the memory


def parse_times(text: str | None, option: str = "--points") -> list[float] | None:
    """`999,750.5` → [999.0, 750.5]; None stays None."""
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"{option} {text}: not a list of numbers", "write it as 999,750,500,250") from None


def parse_whole(text: str) -> int | None:
    """`text` as a whole number of at most 18 digits, else None: Python itself refuses some thousand."""
    return int(text) if re.fullmatch(r"\s*\d{1,18}\s*", text) else None


def parse_counts(text: str, option: str = "--steps") -> list[int]:
    """`10,20,50` → [10, 20, 50], each at least 1, none twice."""
    counts: list[int] = []
    for part in text.split(","):
        number = parse_whole(part)
        if not number:
            raise UsageError(f"{option} {text}: not a list of whole numbers from 1", "write it as 10,20,50")
        if number not in counts:
            counts.append(number)
    return counts


def parse_ids(text: str | None) -> list[int] | None:
    """`0-15,40` → [0, …, 15, 40]: image ids, each at least 0."""
    if text is None:
        return None
    ranges: list[range] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,18})(?:-(\d{1,18}))?\s*", part)
        if match is None or int(match[2] or match[1]) < int(match[1]):
            raise UsageError(f"--ids {text}: not a list of image ids", "write it as 0-15 or 3,1,4")
        ranges.append(range(int(match[1]), int(match[2] or match[1]) + 1))
    if sum(r.stop - r.start for r in ranges) > MOST_IDS:
        raise UsageError(f"--ids {text}: more than {MOST_IDS} images", "ask for fewer at a time")
    return [i for r in ranges for i in r]


def parse_classes(text: str | None, names: tuple[str, ...], classes: int, n: int) -> list[int] | None:
    """`3,1,4` (numbers, the network's names for them, or none) as one class per image, repeated up to `n` images."""
    labels = parse_class_words(text, names, classes)
    return None if labels is None else [labels[i % len(labels)] for i in range(n)]


def parse_class_words(text: str | None, names: tuple[str, ...], classes: int) -> list[int] | None:
    """The same, each class once for each time that it is named."""
    if text is None:
        return None
    if classes == 0:
        raise UsageError("this network is not conditional: it knows no classes", "leave --class out")
    from dtool.models.labels import find_class

    return [find_class(part.strip(), names, classes) for part in text.split(",")]


def parse_duration(text: str | None, option: str) -> float | None:
    """`90s`, `2m` or `1.5h` in seconds; None stays None."""
    if text is None:
        return None
    match = re.fullmatch(r"\s*(\d{1,18}(?:\.\d{1,18})?)\s*([smh])\s*", text)
    if match is None or float(match[1]) == 0:
        raise UsageError(f"{option} {text}: not a time", "write it as 90s, 2m or 1h")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]


def parse_shape(text: str) -> tuple[int, ...]:
    """`3,32,32` → (3, 32, 32)."""
    return _parse_numbers(text, int, "--shape", "3,32,32")


def parse_data_range(text: str) -> tuple[float, ...]:
    """`-1,1` → (-1.0, 1.0); that there are two is for the network's spec to see."""
    return _parse_numbers(text, float, "--data-range", "-1,1")


def parse_interval(text: str) -> tuple[float, float]:
    """`-1.3:0.3` → (-1.3, 0.3), the lower first."""
    low, colon, high = text.partition(":")
    try:
        ends = float(low), float(high)
    except ValueError:
        ends = (nan, nan)
    if not colon or not -inf < ends[0] < ends[1] < inf:
        raise UsageError(f"--guidance-interval {text}: not a lower and a higher λ", "write it as -1.3:0.3")
    return ends


def _parse_numbers(text: str, kind: Callable[[str], T], option: str, example: str) -> tuple[T, ...]:
    try:
        return tuple(kind(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{option} {text}: not a list of numbers", f"write it as {example}") from None


def parse_words(text: str) -> tuple[str, ...]:
    """`seed, plan` → ("seed", "plan")."""
    return tuple(word.strip() for word in text.split(","))
