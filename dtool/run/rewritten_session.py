"""Somebody else's network in a faster form (`dtool.onnx.rewrite`) from its first call on, if that computes the same."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from threading import RLock
from typing import TYPE_CHECKING

from dtool.errors import DtoolError
from dtool.onnx.checked_file import CheckedFile
from dtool.onnx.rewrite.comparison import are_equal
from dtool.onnx.rewrite.file import rewrite_file

if TYPE_CHECKING:
    import onnxruntime as ort

    from dtool.run.onnxruntime_backend import OnnxNetwork


class SessionChoice:
    """A choice that is made once, before a network's first call: whoever only looks at a network never makes it."""

    def __init__(self, choose: Callable[[], None] | None = None) -> None:
        self._choose, self._lock, self._is_made = choose, RLock(), choose is None

    def make(self) -> None:
        """Choose, if that was not done; another thread waits for it, and calls that the choice itself makes do not."""
        if self._is_made:
            return
        with self._lock:
            choose, self._choose = self._choose, None
            if choose is not None:
                choose()
                self._is_made = True


def choose_session(
    network: OnnxNetwork, file: CheckedFile, open_again: Callable[[bytes], ort.InferenceSession]
) -> None:
    """Give the network a session of its file rewritten, and that message, if there is something to rewrite.

    A call of one image, or of its only batch size, is made with each: if an output would change by more than 1e-5, the
    network keeps what it has. Only one of them is open at a time, so that a large network never lies in memory twice.
    """
    message = None if file.has_changed() else rewrite_file(file)  # else it could not be opened again
    if message is None:
        return
    images, time = network.fixed_batch or 1, network.schedule.T // 2
    equal = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a run says what it has to say of its own times
            before = network.run_trial(images, images, time, False)
            del network.session
            network.session = open_again(message)
            after = network.run_trial(images, images, time, False)
        equal = are_equal([before], [after])
    except DtoolError:  # it cannot be called with random conditions, say; what is wrong with it, the run will tell
        pass
    finally:
        if equal:
            network.message = message
        else:
            _open_as_it_was(network, file, open_again)


def _open_as_it_was(
    network: OnnxNetwork, file: CheckedFile, open_again: Callable[[bytes], ort.InferenceSession]
) -> None:
    """The session of the file itself."""
    if hasattr(network, "session"):
        del network.session
    network.session = open_again(file.data)
