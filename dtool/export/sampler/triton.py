"""config.pbtxt for Triton's ONNX Runtime backend, for a frozen sampler: batches are made of single requests."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path

from dtool.errors import UsageError
from dtool.models.spec import NetworkSpec
from dtool.run.sampler_conditions import ConditionInput, list_condition_inputs
from dtool.run.sampler_form import SamplerForm
from dtool.util.files import write_atomically

LARGEST_BATCH = 64
_KINDS = {"float32": "TYPE_FP32", "int64": "TYPE_INT64", "int32": "TYPE_INT32", "bool": "TYPE_BOOL"}

_INPUT = """  {{
    name: "{name}"
    data_type: {kind}
    dims: [ 1 ]
    reshape: {{ shape: [ ] }}
  }}"""

_CONFIG = """# Put the ONNX file into this folder as 1/model.onnx.
name: {name}
backend: "onnxruntime"
max_batch_size: {batch}
input [
{inputs}
]
output [
  {{
    name: "images"
    data_type: TYPE_FP32
    dims: [ {dims} ]
  }}
]
dynamic_batching {{ }}
"""


def format_config(
    name: str, spec: NetworkSpec, form: SamplerForm | None = None, takes: Container[str] | None = None
) -> str:
    """The configuration of the model `name`: of a request an id, a label if there are classes, and conditions.

    takes: the inputs that the file has, where conditions are built into it.
    """
    kinds = {"ids": "TYPE_UINT64"} | ({"label": "TYPE_INT64"} if spec.classes else {})
    blocks = [_INPUT.format(name=key, kind=kind) for key, kind in kinds.items()]
    for one in list_condition_inputs(spec, form) if form else ():
        blocks += [_format_condition(one)] if one.is_input and (takes is None or one.name in takes) else []
    inputs = ",\n".join(blocks)
    shape = form.picture_shape or spec.shape if form else spec.shape
    return _CONFIG.format(name=_quote(name), batch=LARGEST_BATCH, inputs=inputs, dims=", ".join(map(str, shape)))


def _format_condition(one: ConditionInput) -> str:
    kind, name = _KINDS[one.condition.dtype], _quote(one.name)
    if not one.condition.shape:
        return _INPUT.format(name=one.name, kind=kind)
    dims = ", ".join(str(n or -1) for n in one.condition.shape)
    return f"  {{\n    name: {name}\n    data_type: {kind}\n    dims: [ {dims} ]\n  }}"


def _quote(name: str) -> str:
    """A name as protobuf's text format has it: whatever is no plain letter as an octal number of each byte."""
    plain = frozenset(range(32, 127)) - set(b'"\\')
    return '"' + "".join(chr(b) if b in plain else f"\\{b:03o}" for b in name.encode("utf-8", "surrogateescape")) + '"'


def locate_config(path: Path) -> Path:
    """Where the configuration of the sampler's file `path` is written."""
    return path.with_name("config.pbtxt")


def require_free(path: Path, text: str) -> None:
    """Raise UsageError if there is a configuration already that says something else: it may be another model's."""
    place = locate_config(path)
    if place.exists() and place.read_bytes() != text.encode():
        raise UsageError(
            f"{place} is there, and is not that of {path.name}", "remove it, or name a file in another folder, with -o"
        )


def write_both(path: Path, content: bytes, text: str) -> None:
    """Write the sampler's file and the configuration beside it: both, or whatever goes wrong neither."""
    place = locate_config(path)
    new = not place.exists()

    def write(temporary: Path) -> None:
        temporary.write_bytes(content)
        write_atomically(place, lambda other: other.write_bytes(text.encode()))

    try:
        write_atomically(path, write)
    except BaseException:
        if new:
            place.unlink(missing_ok=True)
        raise
