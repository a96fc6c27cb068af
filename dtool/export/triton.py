"""config.pbtxt for Triton's ONNX Runtime backend, for a frozen sampler: batches are made of single requests."""

from __future__ import annotations

from dtool.networks.spec import NetworkSpec

LARGEST_BATCH = 64

_INPUT = """  {{
    name: "{name}"
    data_type: {kind}
    dims: [ 1 ]
    reshape: {{ shape: [ ] }}
  }}"""

_CONFIG = """# Put the ONNX file into this folder as 1/model.onnx.
name: "{name}"
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
    return _CONFIG.format(name=name, batch=LARGEST_BATCH, inputs=inputs, dims=", ".join(map(str, spec.shape)))
