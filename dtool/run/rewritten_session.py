"""Somebody else's network in a faster form (`dtool.onnx.rewrite`) from the start, if that computes the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dtool.errors import DtoolError
from dtool.models.network import Network
from dtool.onnx.rewrite.comparison import are_equal

if TYPE_CHECKING:
    import onnxruntime as ort


def choose_session(
    network: Network,
    original: ort.InferenceSession,
    rewritten: Callable[[], ort.InferenceSession],
    use: Callable[[ort.InferenceSession], None],
) -> bool:
    """Have the network use the rewritten session, or the original again if an output would change by more than 1e-5.

    A call of one image, or of its only batch size, is made with each. Returns whether the rewritten one is used.
    """
    images = network.fixed_batch or 1
    try:
        before = network.run_trial(images, images, network.schedule.T // 2, False)
        use(rewritten())
        after = network.run_trial(images, images, network.schedule.T // 2, False)
    except DtoolError:  # it cannot be called with random conditions, say; what is wrong with it, the run will tell
        use(original)
        return False
    if are_equal([before], [after]):
        return True
    use(original)
    return False
