"""Calls of a network on parts of a batch at the same time, one thread each, in the place of one call with all threads.

Operators that know no threads leave the other cores waiting, and every operator waits for its last thread: on two cores
two calls on half a batch took 0.9 of the time of one. It is done where a trial shows that no bit changes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dtool.errors import DtoolError

if TYPE_CHECKING:
    import onnxruntime as ort

MIN_EVALUATIONS = 256  # of a network, after which it pays to open a second session and to try it out
MIN_SECONDS = 0.002  # of a call: to wake a thread for a part of it takes some 0.1 ms
BUSY = 0.9  # of the workers' time: if more of it is lost, one call with all threads is as fast
Feed = dict[str, NDArray[Any]]
Run = Callable[[Sequence[Feed], Any], list[NDArray[Any]]]


class SideBySideCalls:
    """Which batches of a network are run in parts, and the session that runs these: opened when it is first needed."""

    def __init__(
        self,
        open_alone: Callable[[], ort.InferenceSession],
        run: Run,
        make_feed: Callable[[int], Feed],
        workers: int = 1,
    ) -> None:
        """open_alone: opens a session whose runs take one thread. make_feed: what a trial of a batch is fed.

        run: runs the network at the same time on each of some feeds, in that session, or with None in the usual one.
        workers: how many parts a batch has.
        """
        self._open_alone, self._run, self._make_feed, self.workers = open_alone, run, make_feed, workers
        self._session: ort.InferenceSession | None = None
        self._evaluations = 0
        self.tried: dict[int, bool] = {}  # whether a batch of this size is run in parts

    @property
    def session(self) -> ort.InferenceSession:
        """The session of one thread."""
        if self._session is None:
            self._session = self._open_alone()
        return self._session

    def note(self, images: int) -> None:
        """So many images were evaluated."""
        self._evaluations += images

    def split(self, batch: int) -> list[slice]:
        """The parts of a batch that are run side by side; the whole where that does not pay, or would change a bit."""
        parts = split_batch(batch, self.workers)
        if len(parts) == 1 or self._evaluations < MIN_EVALUATIONS:
            return [slice(0, batch)]
        if batch not in self.tried:
            self.tried[batch] = self._try_parts(batch, parts)
        return parts if self.tried[batch] else [slice(0, batch)]

    def run(self, feed: Feed, parts: Sequence[slice]) -> NDArray[Any]:
        """The output of a batch that is run in these parts; raises what the network raises."""
        feeds = [{name: array[part] for name, array in feed.items()} for part in parts]
        return np.concatenate(self._run(feeds, self.session))

    def _try_parts(self, batch: int, parts: Sequence[slice]) -> bool:
        """Whether a call is long enough for threads to be woken for it, and its parts have the same bits."""
        feed = self._make_feed(batch)
        try:
            self._run([feed], None)  # the first call of a size takes memory
            started = time.perf_counter()
            [whole] = self._run([feed], None)
            if time.perf_counter() - started < MIN_SECONDS:
                return False
            return np.array_equal(whole, self.run(feed, parts))
        except DtoolError:
            return False


def split_batch(batch: int, workers: int) -> list[slice]:
    """Nearly equal parts of a batch for so many workers; the whole if some of them would wait for the others.

    >>> from dtool.run.side_by_side_calls import split_batch
    >>> split_batch(16, 2), split_batch(3, 2)
    ([slice(0, 8, None), slice(8, 16, None)], [slice(0, 3, None)])
    """
    most = -(-batch // workers)
    if workers < 2 or batch < BUSY * workers * most:
        return [slice(0, batch)]
    return [slice(first, min(first + most, batch)) for first in range(0, batch, most)]
