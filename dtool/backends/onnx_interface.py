"""Which input of an ONNX file is x, which is t, and which the label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.backends.onnx_walk import OnnxFile, Value
from dtool.errors import DtoolError

KINDS: dict[int, Any] = {1: np.float32, 10: np.float16, 11: np.float64, 7: np.int64, 6: np.int32}
_FLOAT, _WHOLE = {1, 10, 11}, {6, 7}
_OTHER = {2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 8: "text", 9: "bool", 12: "uint32", 13: "uint64", 16: "bf16"}
_ALONE = "export the network alone, with dtool export or with these inputs"


@dataclass(frozen=True)
class Interface:
    """The values that a network is called with. `batch`: the only one that it takes, or None."""

    x: Value
    t: Value
    label: Value | None
    output: Value
    batch: int | None

    @property
    def one_time(self) -> bool:
        """Whether t is told once for the whole batch."""
        return self.t.dims is not None and (not self.t.dims or (self.t.dims[0] == 1 and self.batch != 1))

    @property
    def whole_times(self) -> bool:
        """Whether t must be a whole number."""
        return self.t.kind in _WHOLE

    def times(self, t: NDArray[Any]) -> NDArray[Any]:
        """Times `(B,)` as the input takes them; raises DtoolError if it takes one and they differ."""
        if self.one_time and (t != t[0]).any():
            raise DtoolError(f"the network takes one time for a whole batch ({shown(self.t)})", "give equal times")
        values = (t[:1] if self.one_time else t).astype(KINDS[self.t.kind], copy=False)
        rank = 1 if self.t.dims is None else len(self.t.dims)
        return values if rank == 1 else values.reshape((-1, *[1] * (rank - 1)) if rank else ())


def interface(found: OnnxFile, source: str) -> Interface:
    """Tell the inputs of a file apart by place and type; the names only decide where those do not.

    x has a batch and more and is of floats; t is one number, or one for each image, of any type; a label is a whole
    number for each image. Raises DtoolError, with the inputs as they are, for anything else.
    """
    floats = [v for v in found.inputs if v.kind in _FLOAT]
    many = [v for v in floats if not _is_vector(v)] or [v for v in floats[:1] if v.dims is None or len(v.dims) == 2]
    x = many[0] if many else None
    rest = [v for v in found.inputs if v is not x]
    if x is None or not 1 <= len(rest) <= 2:
        raise _unfit(found, source, "")
    if len(rest) == 2 and named_apart(rest[1], rest[0]):
        rest.reverse()
    t, label = rest[0], rest[1] if len(rest) == 2 else None
    if t.kind not in KINDS or not _is_vector(t):
        raise _unfit(found, source, f": {t.name} is no time")
    if label is not None and (label.kind not in _WHOLE or not _is_vector(label)):
        raise _unfit(found, source, f": {label.name} is no class label")
    batch = _size(x)
    if any(_size(v) not in (None, batch, 1 if v is t else batch) for v in rest):
        raise _unfit(found, source, ": their batches do not agree")
    rank = None if x.dims is None else len(x.dims)
    for v in found.outputs:
        if v.kind in _FLOAT and (None in (rank, v.dims) or len(v.dims or ()) == rank):
            return Interface(x, t, label, v, batch)
    outputs = ", ".join(map(shown, found.outputs))
    raise DtoolError(f"{source} has the outputs {outputs}; none is like {shown(x)}", _ALONE)


def _is_vector(v: Value) -> bool:
    """Whether there is one number an image, or one in all; of unknown dimensions there may be."""
    return v.dims is None or all(d == 1 for d in v.dims[1:])


def _size(v: Value) -> int | None:
    """The first dimension, if it is fixed."""
    return v.dims[0] if v.dims and isinstance(v.dims[0], int) else None


def _named(v: Value, *parts: str) -> bool:
    return any(part in v.name.lower() for part in parts)


def named_apart(t: Value, label: Value) -> bool:
    """Whether the names of two inputs say that they are a time and a class label, in this order."""
    return _named(label, "label", "class") or _named(t, "time", "step")


def shown(v: Value) -> str:
    """A value as errors name it: `timestep int64 (batch)`."""
    kind = np.dtype(KINDS[v.kind]).name if v.kind in KINDS else _OTHER.get(v.kind, "of no type that dtool has")
    return f"{v.name} {kind} ({'…' if v.dims is None else ', '.join(map(str, v.dims))})"


def _unfit(found: OnnxFile, source: str, why: str) -> DtoolError:
    names = ", ".join(v.name for v in found.inputs)
    details = "; ".join(map(shown, found.inputs))
    return DtoolError(
        f"{source} has the inputs {names}; expected x, t and, if it has classes, label{why} ({details})",
        f"{_ALONE}: x float (batch, *shape), t (batch,), label int64 (batch,)",
    )
