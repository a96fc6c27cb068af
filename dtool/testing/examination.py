"""Many samplers examined at once, on as many processes as there are cores."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from dtool.testing.result import CheckResult


def examine_all(targets: Sequence[str], jobs: int | None = None) -> Iterator[tuple[str, list[CheckResult]]]:
    """(target, results) in the order in which they are done. jobs: processes, as many as cores if nothing is said."""
    jobs = min(jobs or os.cpu_count() or 1, len(targets))
    if jobs <= 1:
        for target in targets:
            yield target, _examined(target)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_prepare) as pool:
        waiting = {pool.submit(_examined, target): target for target in targets}
        try:
            for done in as_completed(waiting):
                yield waiting[done], done.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _examined(target: str) -> list[CheckResult]:
    from dtool import testing

    return list(testing.check(target))


def _prepare() -> None:
    """One process is one thread: arrays are small, and every core has a process of its own."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
