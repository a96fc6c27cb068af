"""How much memory a call may take: a graph of a few bytes can ask for all that there is, and more."""

from __future__ import annotations

import os
import re
from math import inf
from pathlib import Path

from dtool.errors import DtoolError, UsageError

LIMIT_VARIABLE = "DTOOL_MEMORY_LIMIT"  # GB of this process; 0: no limit
USABLE_SHARE = 0.9  # of what there is
MIN_CHECKED_BYTES = 1e8  # bytes that are looked for before they are taken
_CONTAINER = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_HINT = f"run fewer images at a time; or allow more, {LIMIT_VARIABLE}=GB in the environment"


def get_limit() -> float:
    """Bytes that this process may take, as things are: what the environment says, or else nine tenths of what is left.

    Infinite where that is not known: it is looked up in Linux's /proc. Raises UsageError for what is no number.
    """
    setting = os.environ.get(LIMIT_VARIABLE, "")
    if setting:
        if not re.fullmatch(r"\d+\.?\d*|\.\d+", setting):
            raise UsageError(f"{LIMIT_VARIABLE}={setting} is no number of GB", "write it as 8, or 0 for no limit")
        return float(setting) * 1e9 or inf
    figures = _read_numbers("/proc/meminfo")
    if "MemAvailable" not in figures:
        return inf
    left = get_usage() + USABLE_SHARE * (figures["MemAvailable"] + figures.get("SwapFree", 0))
    return min([left, *(USABLE_SHARE * size for size in map(_read_container_limit, _CONTAINER) if size)])


def get_usage() -> int:
    """Bytes that this process holds, files that it shares with others not counted; 0 where that is not known."""
    return _read_numbers("/proc/self/status").get("RssAnon", 0)


def get_peak() -> int:
    """Bytes that this process has held at most, mapped files too; 0 where that is not known.

    `resource.getrusage` would count what its parent held when it was started.
    """
    return _read_numbers("/proc/self/status").get("VmHWM", 0)


def require_below(limit: float) -> None:
    """Raise DtoolError if this process holds more than `limit` bytes."""
    if limit < inf and get_usage() > limit:
        raise DtoolError(f"the network was stopped: it took more than the {limit / 1e9:.1f} GB that it may", _HINT)


def require_room(size: float, what: str, hint: str) -> None:
    """Raise UsageError if `size` bytes more are not to be had: it is better told now than after hours."""
    if size < MIN_CHECKED_BYTES:
        return
    room = max(get_limit() - get_usage(), 0)
    if size > room:
        raise UsageError(f"{what} would take {size / 1e9:.3g} GB of memory; there are {room / 1e9:.3g} GB", hint)


def _read_numbers(path: str) -> dict[str, int]:
    """`Name:  12 kB` lines of a file, in bytes; none if it is not there."""
    try:
        text = Path(path).read_text(encoding="ascii", errors="replace")
    except OSError:
        return {}
    return {name: int(number) * 1024 for name, number in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)}


def _read_container_limit(path: str) -> int:
    """A container's limit in bytes; 0 if it has none."""
    try:
        text = Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return 0
    return int(text) if text.isdecimal() else 0
