"""config.pbtxt for Triton's ONNX Runtime backend, for a frozen sampler: batches are made of single requests."""

from __future__ import annotations

from pathlib import Path

from dtool.errors import UsageError
from dtool.files import write_atomically
from dtool.networks.spec import NetworkSpec

LARGEST_BATCH = 64

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


def config(name: str, spec: NetworkSpec) -> str:
    """The configuration of the model `name`, a request of which is an id, and a label if there are classes."""
    kinds = {"ids": "TYPE_UINT64"} | ({"label": "TYPE_INT64"} if spec.classes else {})
    inputs = ",\n".join(_INPUT.format(name=key, kind=kind) for key, kind in kinds.items())
    return _CONFIG.format(name=_quoted(name), batch=LARGEST_BATCH, inputs=inputs, dims=", ".join(map(str, spec.shape)))


def _quoted(name: str) -> str:
    """A name as protobuf's text format has it: whatever is no plain letter as an octal number of each byte."""
    plain = frozenset(range(32, 127)) - set(b'"\\')
    return '"' + "".join(chr(b) if b in plain else f"\\{b:03o}" for b in name.encode("utf-8", "surrogateescape")) + '"'


def beside(path: Path) -> Path:
    """Where the configuration of the sampler's file `path` is written."""
    return path.with_name("config.pbtxt")


def require_free(path: Path, text: str) -> None:
    """Raise UsageError if there is a configuration already that says something else: it may be another model's."""
    place = beside(path)
    if place.exists() and place.read_bytes() != text.encode():
        raise UsageError(
            f"{place} is there, and is not that of {path.name}", "remove it, or name a file in another folder, with -o"
        )


def write_both(path: Path, content: bytes, text: str) -> None:
    """Write the sampler's file and the configuration beside it: both, or whatever goes wrong neither."""
    place = beside(path)
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
