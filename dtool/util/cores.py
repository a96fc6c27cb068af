"""How many threads a run takes: one for each core that this process may use, or as many as it is told."""

from __future__ import annotations

import os
from pathlib import Path

from dtool.errors import UsageError

THREADS_VARIABLE = "DTOOL_THREADS"  # threads of this process at most; workers that share a machine are told theirs


def count_cores() -> int:
    """One thread per core, as ONNX Runtime would choose; 0 leaves it the choice, where the cores cannot be counted.

    Of threads that it counts itself it ties all but the caller's to a core each, and who calls from another thread than
    the main one meets one of them on its own core: on two cores that cost 3 % of a run of 70 ms.
    No more than the environment allows, in DTOOL_THREADS; raises UsageError for what is no number there.
    """
    most = os.environ.get(THREADS_VARIABLE, "")
    if most and not (most.isdecimal() and 1 <= int(most) <= 4096):
        raise UsageError(f"{THREADS_VARIABLE}={most} is no number of threads", "write it as 4")
    try:
        places = [Path(f"/sys/devices/system/cpu/cpu{k}/topology") for k in os.sched_getaffinity(0)]
        cores = len({(place / "thread_siblings_list").read_text() for place in places})
    except (AttributeError, OSError):  # not Linux
        cores = 0
    return min(cores or int(most), int(most)) if most else cores
