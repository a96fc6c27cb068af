"""Which inputs the file of a sampler has: other tools build some of them in, or drop what the file says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dtool.errors import DtoolError
from dtool.models.conditions import Condition
from dtool.onnx.interface import describe_value
from dtool.onnx.walk import OnnxFile, ValueInfo

PLAN = ("table", "times", "init")
SETTINGS = ("seed", *PLAN, "steps", "bounds", "guidance", "trace", "micro_batch")
OUTPUTS = ("images", "latents", "trace_x", "trace_x0")
EDITS = ("image", "mask", "strength")  # of a file whose run may begin at an image
# what an export is told, and what it makes of it; "without": for each condition what guidance compares with
WORDS = {"seed": ("seed",), "guidance": ("guidance",), "plan": PLAN, "without": (), **{name: (name,) for name in EDITS}}
_UINT64 = 13
_RESTORE_HINT = "use the file as dtool export wrote it, before any other tool changed it, or export it again"


@dataclass(frozen=True)
class SamplerInputs:
    """What can be said to the file of a sampler, beside ids and label: conditions, too.

    takes: the inputs that it has. required: those of them without a default. traces: whether it gives traces. batch:
    the only number of ids that it takes, or None.
    """

    takes: frozenset[str]
    required: frozenset[str] = frozenset()
    traces: bool = True
    batch: int | None = None


def name_without(name: str) -> str:
    """The input for what guidance compares a condition with."""
    return f"{name}_without"


def find_inputs(
    file: OnnxFile, classes: int, source: str, conditions: Sequence[Condition] = (), edits: Sequence[str] = ()
) -> SamplerInputs:
    """The inputs that a sampler's file really has; raises DtoolError if it cannot be run with them.

    edits: those for an image to begin at, as the file's form names them.
    A simplifier builds in what has a default; then it is gone from the graph, while the metadata tell of it still.
    """
    values = {value.name: value for value in [*file.inputs, *file.optional]}
    needed = {"ids", *(["label"] if classes else [])}
    told = {one.name for one in conditions}
    settings = {*SETTINGS, *edits, *told, *map(name_without, told)}
    required = needed | {one.name for one in conditions if one.null is None and not one.built_in}
    unknown = [value for value in file.inputs if value.name not in needed | settings]
    if unknown or not required <= values.keys():
        has = ", ".join(describe_value(value) for value in file.inputs) or "that have defaults alone"
        raise DtoolError(
            f"{source} has the inputs {has}; a sampler takes {', '.join(sorted(required))}",
            _RESTORE_HINT,
        )
    outputs = {value.name for value in file.outputs}
    if "images" not in outputs:
        raise DtoolError(f"{source} has the outputs {', '.join(sorted(outputs))}, and no images", _RESTORE_HINT)
    takes = frozenset(values.keys() & settings)
    return SamplerInputs(
        takes,
        frozenset(value.name for value in file.inputs) & takes,
        "trace" in takes and {"trace_x", "trace_x0"} <= outputs,
        _find_fixed_batch([values[name] for name in sorted(needed)], source),
    )


def _find_fixed_batch(values: list[ValueInfo], source: str) -> int | None:
    """The fixed number of images, if there is one."""
    fixed = {value.dims[0] for value in values if value.dims and isinstance(value.dims[0], int)}
    if len(fixed) > 1:
        raise DtoolError(
            f"{source} has the inputs {', '.join(map(describe_value, values))}, which do not agree", _RESTORE_HINT
        )
    return next((size for size in fixed if isinstance(size, int)), None)


def require_described(file: OnnxFile, source: str) -> None:
    """Raise DtoolError for what looks like a sampler of `dtool export`, but no longer says which."""
    names = {value.name for value in file.outputs}
    ids = any(value.name == "ids" and value.kind == _UINT64 for value in file.inputs)
    if ids and "images" in names and "dtool" not in file.metadata:
        raise DtoolError(
            f"{source} looks like a sampler of dtool export, but its metadata are gone: another tool has dropped them",
            "use the file as dtool export wrote it, or copy its metadata_props into this one",
        )
