"""Which inputs the file of a sampler has: other tools build some of them in, or drop what the file says of itself."""

from __future__ import annotations

from dataclasses import dataclass

from dtool.backends.onnx_interface import shown
from dtool.backends.onnx_walk import OnnxFile, Value
from dtool.errors import DtoolError

PLAN = ("table", "times", "init")
SETTINGS = ("seed", *PLAN, "steps", "bounds", "guidance", "trace", "micro_batch")
WORDS = {"seed": ("seed",), "guidance": ("guidance",), "plan": PLAN}  # what an export is told, and what it makes of it
_UINT64 = 13
_AS_IT_WAS = "use the file as dtool export wrote it, before any other tool changed it, or export it again"


@dataclass(frozen=True)
class Inputs:
    """What can be said to the file of a sampler, beside ids and label.

    takes: the inputs that it has. required: those of them without a default. traces: whether it gives traces. batch:
    the only number of ids that it takes, or None.
    """

    takes: frozenset[str]
    required: frozenset[str] = frozenset()
    traces: bool = True
    batch: int | None = None


def inputs_of(found: OnnxFile, classes: int, source: str) -> Inputs:
    """The inputs that a sampler's file really has; raises DtoolError if it cannot be run with them.

    A simplifier builds in what has a default; then it is gone from the graph, while the metadata tell of it still.
    """
    values = {value.name: value for value in [*found.inputs, *found.optional]}
    needed = {"ids", *(["label"] if classes else [])}
    unknown = [value for value in found.inputs if value.name not in needed | {*SETTINGS}]
    if unknown or not needed <= values.keys():
        has = ", ".join(shown(value) for value in found.inputs)
        raise DtoolError(
            f"{source} has the inputs {has or 'that have defaults alone'}; a sampler takes {', '.join(sorted(needed))}",
            _AS_IT_WAS,
        )
    outputs = {value.name for value in found.outputs}
    if "images" not in outputs:
        raise DtoolError(f"{source} has the outputs {', '.join(sorted(outputs))}, and no images", _AS_IT_WAS)
    takes = frozenset(values.keys() & {*SETTINGS})
    return Inputs(
        takes,
        frozenset(value.name for value in found.inputs) & takes,
        "trace" in takes and {"trace_x", "trace_x0"} <= outputs,
        _batch([values[name] for name in sorted(needed)], source),
    )


def _batch(values: list[Value], source: str) -> int | None:
    """The fixed number of images, if there is one."""
    fixed = {value.dims[0] for value in values if value.dims and isinstance(value.dims[0], int)}
    if len(fixed) > 1:
        raise DtoolError(f"{source} has the inputs {', '.join(map(shown, values))}, which do not agree", _AS_IT_WAS)
    return next((size for size in fixed if isinstance(size, int)), None)


def require_described(found: OnnxFile, source: str) -> None:
    """Raise DtoolError for what looks like a sampler of `dtool export`, but no longer says which."""
    names = {value.name for value in found.outputs}
    ids = any(value.name == "ids" and value.kind == _UINT64 for value in found.inputs)
    if ids and "images" in names and "dtool" not in found.metadata:
        raise DtoolError(
            f"{source} looks like a sampler of dtool export, but its metadata are gone: another tool has dropped them",
            "use the file as dtool export wrote it, or copy its metadata_props into this one",
        )
