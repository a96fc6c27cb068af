"""Somebody else's network in a faster form (`dtool.onnx.rewrite`) from the start, if that computes the same."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from dtool.errors import DtoolError
from dtool.onnx.checked_file import CheckedFile
from dtool.onnx.rewrite.comparison import are_equal
from dtool.onnx.rewrite.file import rewrite_file

if TYPE_CHECKING:
    import onnxruntime as ort

    from dtool.run.onnxruntime_backend import OnnxNetwork


def choose_session(
    network: OnnxNetwork, file: CheckedFile, open_again: Callable[[bytes], ort.InferenceSession]
) -> bytes:
    """Give the network a session of its file rewritten, if there is something to rewrite; returns the message in use.

    A call of one image, or of its only batch size, is made with each: if an output would change by more than 1e-5, the
    network keeps the session that it has.
    """
    data, original = rewrite_file(file), network.session
    if data is None:
        return file.data
    images, time = network.fixed_batch or 1, network.schedule.T // 2
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a run says what it has to say of its own times
            before = network.run_trial(images, images, time, False)
            network.session = open_again(data)
            after = network.run_trial(images, images, time, False)
        equal = are_equal([before], [after])
    except DtoolError:  # it cannot be called with random conditions, say; what is wrong with it, the run will tell
        equal = False
    if not equal:
        network.session = original
    return data if equal else file.data
