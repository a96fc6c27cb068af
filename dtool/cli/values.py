"""Values that arguments spell as text: lists of numbers, ranges, class names."""

from __future__ import annotations

import re

from dtool.errors import UsageError

MOST_IDS = 10**7  # of a run; a list of the 2^32 that there are would fill the memory


def times(text: str | None, option: str = "--points") -> list[float] | None:
    """`999,750.5` → [999.0, 750.5]; None stays None."""
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"{option} {text}: not a list of numbers", "write it as 999,750,500,250") from None


def whole(text: str) -> int | None:
    """`text` as a whole number of at most 18 digits, else None: Python itself refuses some thousand."""
    return int(text) if re.fullmatch(r"\s*\d{1,18}\s*", text) else None


def counts(text: str, option: str = "--steps") -> list[int]:
    """`10,20,50` → [10, 20, 50], each at least 1, none twice."""
    found: list[int] = []
    for part in text.split(","):
        number = whole(part)
        if not number:
            raise UsageError(f"{option} {text}: not a list of whole numbers from 1", "write it as 10,20,50")
        if number not in found:
            found.append(number)
    return found


def id_list(text: str | None) -> list[int] | None:
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


def class_list(text: str | None, names: tuple[str, ...], classes: int, n: int) -> list[int] | None:
    """`3,1,4` (numbers, the network's names for them, or none) as one class an image, repeated up to `n` images."""
    if text is None:
        return None
    if classes == 0:
        raise UsageError("this network is not conditional: it knows no classes", "leave --class out")
    from dtool.networks.labels import class_number

    asked = [class_number(part.strip(), names, classes) for part in text.split(",")]
    return [asked[i % len(asked)] for i in range(n)]


def duration(text: str | None, option: str) -> float | None:
    """`90s`, `2m` or `1.5h` in seconds; None stays None."""
    if text is None:
        return None
    match = re.fullmatch(r"\s*(\d{1,18}(?:\.\d{1,18})?)\s*([smh])\s*", text)
    if match is None or float(match[1]) == 0:
        raise UsageError(f"{option} {text}: not a time", "write it as 90s, 2m or 1h")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]
