"""Which input of an ONNX file is x, which is t, which the label, and which are further conditions."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.errors import DtoolError, UsageError
from dtool.models.conditions import LABEL, RESERVED, Condition
from dtool.onnx.walk import OnnxFile, ValueInfo

KINDS: dict[int, Any] = {
    1: np.float32, 10: np.float16, 11: np.float64, 7: np.int64, 6: np.int32, 9: np.bool_,
}  # fmt: skip
MAX_RANK = 9  # of a condition with its batch
_FLOAT, _WHOLE = {1, 10, 11}, {6, 7}
_OTHER = {2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 8: "text", 12: "uint32", 13: "uint64", 16: "bf16"}
_X = ("sample", "x", "latent", "latents", "latent_sample", "x_t", "xt", "noisy", "noisy_sample", "hidden_states")
_TIMES = (
    "t", "timestep", "timesteps", "time", "times", "time_step", "sigma", "sigmas", "noise_level", "noise_levels",
    "c_noise", "log_snr", "noise_labels",
)  # fmt: skip
_TYPES: dict[int, Any] = dict.fromkeys(_FLOAT, "float32") | {7: "int64", 6: "int32", 9: "bool"}
_ALONE = "export the network alone, with dtool export or with these inputs"


@dataclass(frozen=True, kw_only=True)
class Interface:
    """The values that a network is called with. `batch`: the only one that it takes, or None.

    `others`: its conditions besides the label, each called as its input is.
    """

    x: ValueInfo
    t: ValueInfo
    label: ValueInfo | None
    output: ValueInfo
    batch: int | None
    others: tuple[ValueInfo, ...] = ()

    @property
    def conditions(self) -> dict[str, ValueInfo]:
        """The inputs besides x and t, by the names of their conditions."""
        label = {} if self.label is None else {LABEL: self.label}
        return label | {make_condition(value).name: value for value in self.others}

    @property
    def one_for_all(self) -> bool:
        """Whether one of the conditions is told once for the whole batch."""
        return any(value.dims == () for value in self.others)

    def tell(self, name: str, values: NDArray[Any]) -> NDArray[Any]:
        """A condition `(B, *shape)` as its input takes it; DtoolError if that is one for all, and they differ."""
        value = self.conditions[name]
        array = values.astype(KINDS[value.kind], copy=False)
        if value.dims != () or value is self.label:
            return array
        if (array != array[0]).any():
            raise DtoolError(
                f"the network takes one {name} for a whole batch ({describe_value(value)})", "give equal numbers"
            )
        return array[:1].reshape(())

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
            raise DtoolError(
                f"the network takes one time for a whole batch ({describe_value(self.t)})", "give equal times"
            )
        values = (t[:1] if self.one_time else t).astype(KINDS[self.t.kind], copy=False)
        rank = 1 if self.t.dims is None else len(self.t.dims)
        return values if rank == 1 else values.reshape((-1, *[1] * (rank - 1)) if rank else ())


def identify_inputs(file: OnnxFile, source: str, conditions: Collection[str] = ()) -> Interface:
    """Tell the inputs of a file apart by place and type; the names only decide where those do not.

    x has a batch and more and is of floats; t is one number, or one for each image, of any type; a label is a whole
    number for each image; what is left are conditions. `conditions`: the names of some that the user knows.
    Raises DtoolError, with the inputs as they are, for anything else, UsageError where nothing tells two apart.
    """
    own = [v for v in file.inputs if _make_name(v) not in conditions]
    x = _find_x(own, file.outputs, source)
    rest = [v for v in own if v is not x]
    t = _find_time(rest, source) if x is not None else None
    if x is None or t is None:
        raise _interface_error(file, source, "")
    label = _find_label([v for v in rest if v is not t])
    others = tuple(v for v in file.inputs if v not in (x, t, label))
    if t.kind not in _FLOAT | _WHOLE or not _is_vector(t):
        raise _interface_error(file, source, f": {t.name} is no time")
    for v in others:
        if v.kind not in KINDS or v.dims is None or len(v.dims) > MAX_RANK:
            raise _interface_error(file, source, f": {v.name} is no condition")
    if len({v.name for v in file.inputs}) < len(file.inputs):
        raise _interface_error(file, source, ": two share a name")
    batch = _find_fixed_size(x)
    if any(_find_fixed_size(v) not in (None, batch, 1 if v is t else batch) for v in (*rest, *others)):
        raise _interface_error(file, source, ": their batches do not agree")
    rank = None if x.dims is None else len(x.dims)
    for v in file.outputs:
        if v.kind in _FLOAT and (None in (rank, v.dims) or len(v.dims or ()) == rank):
            return Interface(x=x, t=t, label=label, output=v, batch=batch, others=others)
    outputs = ", ".join(map(describe_value, file.outputs))
    raise DtoolError(f"{source} has the outputs {outputs}; none is like {describe_value(x)}", _ALONE)


def make_condition(value: ValueInfo) -> Condition:
    """The condition that an input is, for one image; its null value is not in the file."""
    dims = (value.dims or ())[1:]
    shape = tuple(dim if isinstance(dim, int) else None for dim in dims)
    return Condition(name=_make_name(value), shape=shape, dtype=_TYPES[value.kind], null=None)


def _make_name(value: ValueInfo) -> str:
    """An input's name as a condition's, which begins with a letter and is none of x, t and label."""
    name = re.sub(r"[^A-Za-z0-9_./:-]", "_", value.name)[:99]
    return name if re.match("[A-Za-z_]", name) and name not in RESERVED else f"_{name}"


def _find_x(inputs: list[ValueInfo], outputs: list[ValueInfo], source: str) -> ValueInfo | None:
    """The noisy sample among the inputs: the only one that it may be, one of a usual name, one like the output."""
    floats = [v for v in inputs if v.kind in _FLOAT]
    images = [v for v in floats if not _is_vector(v)] or [v for v in floats[:1] if v.dims is None or len(v.dims) == 2]
    named = sorted((v for v in images if v.name.lower() in _X), key=lambda v: _X.index(v.name.lower()))
    ranks = {len(v.dims) for v in outputs if v.kind in _FLOAT and v.dims is not None}
    alike = [v for v in images if v.dims is None or not ranks or len(v.dims) in ranks]
    found = named[:1] or alike or images
    if len(found) > 1:
        raise UsageError(
            f"{source}: {' and '.join(map(describe_value, found))} may each be the noisy sample",
            f"say what the others are, e.g. spec={{'conditions': [{{'name': {found[1].name!r}, 'shape': …}}]}}",
        )
    return found[0] if found else None


def _find_time(inputs: list[ValueInfo], source: str) -> ValueInfo | None:
    """The time: of a usual name, or the only number that is no label, or the first of two whose second may be one."""
    named = sorted((v for v in inputs if v.name.lower() in _TIMES), key=lambda v: _TIMES.index(v.name.lower()))
    numbers = [v for v in inputs if v.kind in _FLOAT | _WHOLE and _is_vector(v) and v.dims is not None]
    parts = [v for v in numbers if _has_name_part(v, "time", "step")]
    if named or len(parts) == 1 or len(inputs) <= 1:
        return next(iter(named or parts or inputs), None)
    unlabelled = [v for v in numbers if not _has_name_part(v, "label", "class")]
    if len(unlabelled) > 1 and (len(inputs) > 2 or inputs[1].kind not in _WHOLE):
        raise UsageError(
            f"{source}: {' and '.join(map(describe_value, unlabelled))} may each be the time",
            f"say what the others are, e.g. spec={{'conditions': [{{'name': {unlabelled[1].name!r}}}]}}",
        )
    return (unlabelled or numbers or inputs)[0]


def _find_label(inputs: list[ValueInfo]) -> ValueInfo | None:
    """The class label: a whole number for each image, by its name, or because it is all there is besides x and t."""
    numbers = [v for v in inputs if v.kind in _WHOLE and _is_vector(v) and v.dims != ()]
    named = [v for v in numbers if v.name.lower() == "y" or _has_name_part(v, "label", "class")]
    return next(iter(named or (numbers if len(inputs) == 1 else [])), None)


def _is_vector(v: ValueInfo) -> bool:
    """Whether there is one number per image, or one in all; of unknown dimensions there may be."""
    return v.dims is None or all(d == 1 for d in v.dims[1:])


def _find_fixed_size(v: ValueInfo) -> int | None:
    """The first dimension, if it is fixed."""
    return v.dims[0] if v.dims and isinstance(v.dims[0], int) else None


def _has_name_part(v: ValueInfo, *parts: str) -> bool:
    return any(part in v.name.lower() for part in parts)


def are_time_and_label(t: ValueInfo, label: ValueInfo) -> bool:
    """Whether the names of two inputs say that they are a time and a class label, in this order."""
    return _has_name_part(label, "label", "class") or _has_name_part(t, "time", "step")


def describe_value(v: ValueInfo) -> str:
    """A value as errors name it: `timestep int64 (batch)`."""
    kind = np.dtype(KINDS[v.kind]).name if v.kind in KINDS else _OTHER.get(v.kind, "of no type that dtool has")
    return f"{v.name} {kind} ({'…' if v.dims is None else ', '.join(map(str, v.dims))})"


def _interface_error(file: OnnxFile, source: str, why: str) -> DtoolError:
    names = ", ".join(v.name for v in file.inputs)
    details = "; ".join(map(describe_value, file.inputs))
    return DtoolError(
        f"{source} has the inputs {names}; expected x, t and, if it has them, label and conditions{why} ({details})",
        f"{_ALONE}: x float (batch, *shape), t (batch,), label int64 (batch,)",
    )
