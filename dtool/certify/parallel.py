"""Many samplers examined at once, on as many processes as there are cores."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from dtool.certify.result import CheckResult
from dtool.errors import DtoolError, PluginError
from dtool.plugins.isolation import claim_process
from dtool.plugins.loader import PluginWarning


def examine_all(targets: Sequence[str], jobs: int | None = None) -> Iterator[tuple[str, list[CheckResult]]]:
    """(target, results) in the order in which they are done. jobs: processes, by default as many as there are cores."""
    jobs = min(jobs or os.cpu_count() or 1, len(targets))
    if jobs <= 1:
        for target in targets:
            yield target, _examine(target)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_prepare) as pool:
        waiting = {pool.submit(_examine, target): target for target in targets}
        try:
            for done in as_completed(waiting):
                yield waiting[done], done.result()
        except BrokenExecutor as error:
            raise DtoolError(
                "a process that examined samplers ended at once: one of them stops Python itself, or memory ran out",
                "examine them one at a time (--jobs 1) to see which, or without plugins (--no-plugins)",
            ) from error
        except BaseException:  # The caller has stopped iterating, or was interrupted.
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _examine(target: str) -> list[CheckResult]:
    from dtool import certify

    try:
        return list(certify.check(target))
    except PluginError as error:
        return [CheckResult("loads", "fail", "error", f"{error}; {error.hint}")]


def _prepare() -> None:
    """One process is one thread: arrays are small, and every core has a process of its own.

    Of plugins that cannot be loaded, the process that began all this has warned.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    warnings.simplefilter("ignore", PluginWarning)
    claim_process().__enter__()  # for as long as the process lives
