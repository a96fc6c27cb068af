"""A file's session, and runs of it side by side: on a CPU one thread each is faster than all threads for each in turn.

Where all threads work on one image, operators that know no threads leave the others waiting, and every operator waits
for its last thread. On two cores a diffusion network of 150 MB took 0.9 of the time side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnxruntime as ort
from numpy.typing import NDArray

from dtool.errors import DtoolError
from dtool.models.runtime import Runtime
from dtool.onnx.checked_file import CheckedFile
from dtool.onnx.session import find_device, open_session, run_session, run_session_together
from dtool.util.cores import count_cores

KEEP_BOTH = 1 << 26  # bytes of a file up to which both sessions are kept; of a larger one the one that was used last
Feed = dict[str, NDArray[Any]]


class ParallelSession:
    """The session of a file whose runs take all threads, and one whose runs take one thread, opened when needed.

    `workers`: how many runs may be made at the same time; 1: side by side there is nothing to gain.
    """

    def __init__(self, file: CheckedFile, runtime: Runtime, limit: float) -> None:
        """Open the session; raises what `open_session` raises. limit: seconds after which a run is stopped."""
        self._file, self._runtime, self._limit = file, runtime, limit
        self._sessions: dict[bool, ort.InferenceSession] = {}  # by whether it is the one of one thread
        session = self._get_session(False)
        self.device = find_device(session)
        on_cpu = session.get_providers()[0] == "CPUExecutionProvider"
        self.workers = max(1, count_cores()) if on_cpu else 1

    def run(self, outputs: Sequence[str], feed: Feed) -> list[NDArray[Any]]:
        """One run with all threads; raises what `run_session` raises."""
        return run_session(self._get_session(False), outputs, feed, self._limit)

    def run_together(self, outputs: Sequence[str], feeds: Sequence[Feed]) -> list[list[NDArray[Any]]]:
        """These runs at the same time, of one thread each; raises what `run_session` raises."""
        return run_session_together(self._get_session(True), outputs, feeds, self._limit)

    def _get_session(self, alone: bool) -> ort.InferenceSession:
        if alone not in self._sessions:
            if self._file.has_changed():  # what is not in the message is read again
                raise DtoolError(f"{self._file.source} was changed while it was in use", "load it again")
            if self._file.size > KEEP_BOTH:
                self._sessions.clear()
            file, threads = self._file, 1 if alone else None
            self._sessions[alone] = open_session(
                file.data, file.source, self._runtime, weights=file.weights, threads=threads
            )
        return self._sessions[alone]
