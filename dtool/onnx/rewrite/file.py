"""Somebody else's ONNX file, rewritten before its first call."""

from __future__ import annotations

import importlib.util
from math import prod
from typing import TYPE_CHECKING

from dtool.onnx.checked_file import CheckedFile
from dtool.onnx.external_data import ExternalWeights
from dtool.onnx.large_weights import SIZES
from dtool.onnx.rewrite.mark import is_marked

if TYPE_CHECKING:
    import onnx

MOST_READ = 1 << 28  # bytes of weights out of the message that are read; what needs more is not rewritten


def rewrite_file(file: CheckedFile) -> bytes | None:
    """The file's message, rewritten, its larger weights where they are; None if there is nothing to gain.

    That is so of a file that was rewritten when it was written, of one that onnx cannot read, and where onnx is not
    installed: its import and the rewriting take some 0.3 s of a network of 200 operators.
    """
    if is_marked(file.graph.metadata) or file.graph.loops:
        return None
    if importlib.util.find_spec("onnx") is None:
        return None
    import onnx

    from dtool.onnx.rewrite.network import rewrite_network

    read = None if file.weights is None else _WeightReader(file.weights)
    try:
        rewritten, counts = rewrite_network(onnx.load_model_from_string(file.data), read)
    except Exception:  # whatever onnx has to say of somebody else's graph; ONNX Runtime runs it as it is
        return None
    content: bytes | None = rewritten.SerializeToString() if counts else None
    return content


class _WeightReader:
    """Reads weights that lie out of the message, each once, and not more than `MOST_READ` bytes."""

    def __init__(self, weights: ExternalWeights) -> None:
        self._weights = weights
        self._places = {(one.location, one.offset, one.length): one for one in weights.tensors}
        self._numbers: dict[tuple[str, int, int], bytes] = {}

    def __call__(self, tensor: onnx.TensorProto) -> bytes | None:
        """The numbers of a tensor; None of those beyond the limit."""
        entries = {entry.key: entry.value for entry in tensor.external_data}
        length = prod(tensor.dims) * SIZES.get(tensor.data_type, 0)
        key = (entries.get("location", ""), int(entries.get("offset", 0)), length)
        place = self._places.get(key)
        if place is None:
            return None
        if key not in self._numbers:
            if sum(map(len, self._numbers.values())) + place.length > MOST_READ:
                return None
            self._numbers[key] = self._weights.read(place)
        return self._numbers[key]
