"""A classifier in an ONNX file: its classes, and what its last layer sees."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dtool.errors import DtoolError, UsageError
from dtool.models.runtime import Runtime
from dtool.onnx.checked_file import read_checked_file
from dtool.onnx.limits import CALL_SECONDS
from dtool.onnx.protobuf import decode_text, encode_field, read_fields, read_messages

BATCH = 500
_LAYERS = ("Gemm", "MatMul")


def apply_in_batches(
    function: Callable[[NDArray[Any]], ArrayLike], images: NDArray[Any], size: int = BATCH
) -> NDArray[Any]:
    """`function` of images (n, …), `size` at a time. Raises UsageError if it doesn't give one row per image."""
    parts = []
    for i in range(0, len(images), size):
        part = np.asarray(function(images[i : i + size]))
        if part.ndim == 0 or len(part) != len(images[i : i + size]):
            raise UsageError(
                f"a function of {len(images[i : i + size])} images returned {part.shape}", "return one row per image"
            )
        parts.append(part)
    return np.concatenate(parts)


class Classifier:
    """A classifier from an ONNX file: one input (B, *shape), one output (B, classes).

    Called with images (n, *shape) in `data_range` it gives scores (n, classes); `features` gives the input of the last
    matrix product, (n, d). expects: the range that its pixels have [default: the data's own]. class_names: of its
    scores, in their order [default: the file's metadata `class_names`, a JSON list, else their numbers 0, 1, 2 …].
    Raises DtoolError for a file that is missing or broken, or that has no such layer; ONNX Runtime is needed.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        data_range: tuple[float, float] = (-1.0, 1.0),
        expects: tuple[float, float] | None = None,
        device: str = "auto",
        class_names: Sequence[str] | None = None,
    ) -> None:
        self.path = Path(path)
        self._options: dict[str, Any] = {
            "data_range": data_range, "expects": expects, "device": device, "class_names": class_names,
        }  # fmt: skip
        try:
            from dtool.onnx.session import open_session
        except ImportError as error:
            raise DtoolError(
                "a classifier in an ONNX file needs ONNX Runtime", "pip install 'dtool-diffusion[cpu]'"
            ) from error
        file = read_checked_file(self.path)
        data, model = file.data, file.graph
        self._names = tuple(class_names) if class_names is not None else _read_class_names(model.metadata, str(path))
        self._layer = find_last_layer(data, str(path))
        self._session = open_session(
            add_output(data, self._layer), str(path), Runtime(device=device), weights=file.weights
        )
        if len(model.inputs) != 1:
            names = ", ".join(value.name for value in model.inputs)
            raise DtoolError(f"{path} has the inputs {names}, not one", "give a classifier of images alone")
        self._input, self._output = model.inputs[0].name, model.outputs[0].name
        low, high = data_range
        start, end = expects or data_range
        self._scale = (end - start) / (high - low)
        self._shift = start - low * self._scale

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process opens the file itself."""
        return partial(Classifier, self.path, **self._options), ()

    def __call__(self, images: ArrayLike) -> NDArray[Any]:
        """Scores (n, classes) of images (n, *shape)."""
        return self._run(images, self._output)

    def class_names(self, images: ArrayLike) -> tuple[str, ...]:
        """The names of its scores, in their order; how many there are is seen from the first image of (n, *shape)."""
        scores = self(np.asarray(images)[:1]).shape[1]
        names = self._names or tuple(str(i) for i in range(scores))
        if len(names) != scores:
            raise DtoolError(f"{self.path} names {len(names)} classes and gives {scores} scores", "name each of them")
        return names

    def features(self, images: ArrayLike) -> NDArray[Any]:
        """What the last layer sees, (n, d), of images (n, *shape)."""
        return self._run(images, self._layer)

    def _run(self, images: ArrayLike, output: str) -> NDArray[Any]:
        from dtool.onnx.session import FailedRunError, run_session

        array = np.asarray(images)

        def run(part: NDArray[Any]) -> Any:
            scaled = part.astype(np.float32) * np.float32(self._scale) + np.float32(self._shift)
            values = run_session(self._session, [output], {self._input: scaled}, CALL_SECONDS)[0]
            if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiub":
                raise DtoolError(
                    f"{self.path} returns something other than numbers for images",
                    "give a classifier that returns scores",
                )
            return values

        try:
            rows = apply_in_batches(run, array)
        except FailedRunError as error:
            raise DtoolError(
                f"{self.path} cannot classify images of {array.shape[1:]} ({error.line[:120]})",
                "give a classifier of such images",
            ) from error
        return rows.reshape(len(rows), -1)


def _read_class_names(metadata: Mapping[str, str], source: str) -> tuple[str, ...]:
    """The class names in a file's metadata; () if it has none."""
    try:
        names = json.loads(metadata.get("class_names", "[]"))
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DtoolError(f"{source}: its class_names are not a JSON list of strings", 'write them as ["cat", "dog"]')
    return tuple(names)


def find_last_layer(data: bytes, source: str) -> str:
    """The name of what goes into the last matrix product before the first output; DtoolError if there is none."""
    graph = next(read_messages(memoryview(data), 7))
    nodes = [_parse_node(node) for node in read_messages(graph, 1)]
    producers = {name: (kind, inputs) for kind, inputs, outputs in nodes for name in outputs}
    queue = [decode_text(dict(read_fields(value)).get(1)) for value in read_messages(graph, 12)][:1]
    visited: set[str] = set()
    while queue:
        name = queue.pop(0)
        if name in visited or name not in producers:
            continue
        visited.add(name)
        kind, inputs = producers[name]
        if kind in _LAYERS and inputs and inputs[0]:
            return inputs[0]
        queue += inputs
    raise DtoolError(f"{source} ends with no matrix product", "give its features as a function: features=")


def add_output(data: bytes, name: str) -> bytes:
    """The file with one more output: parts of a message that come twice are merged, so it is put at the end."""
    tensor = b"\x0a\x02\x08\x01"  # the type: a tensor of float32
    value = encode_field(1, name.encode()) + encode_field(2, tensor)
    outputs = [
        decode_text(dict(read_fields(v)).get(1)) for v in read_messages(next(read_messages(memoryview(data), 7)), 12)
    ]
    return data if name in outputs else data + encode_field(7, encode_field(12, value))


def _parse_node(data: memoryview) -> tuple[str, list[str], list[str]]:
    parts: dict[int, list[str]] = {1: [], 2: [], 4: [""]}
    for number, value in read_fields(data):
        if number in parts:
            parts[number].append(decode_text(value))
    return parts[4][-1], parts[1], parts[2]
