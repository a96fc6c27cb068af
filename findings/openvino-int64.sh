#!/usr/bin/env bash
# OpenVINO 2026.4.1 (PyPI), device CPU; 2026-11-30, Linux x86-64.
#
# The compiled model says that its inputs and outputs are i64 (u64), takes int64 (uint64) arrays and returns such; in between
# the numbers are of 32 bits. Identity of 2^32 + 1 is 1, of 2^33 it is 0; there is no error and no warning. A Cast to
# float64 right behind the input keeps the size of the numbers, but gives 2^32 for 2^32 + 1, rounded as in float32.
# Generators of random numbers, hashes and indices into large arrays are silently wrong.
# All expected values are exact in int64, and far from overflow.
#
# Output seen:
#   Identity i64 i64 [1, 0, 5]
#   Cast i64 f64 [4294967296.0, 8589934592.0, 5.0]
#   Add i64 i64 [2, 0, 10]
#   Mul u64 u64 [3, 0, 15]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
cd "$folder"

python3 -m venv python
python/bin/pip install --quiet openvino==2026.4.1 onnx==1.23.2 numpy

cat >run.py <<'PYTHON'
import numpy as np
import onnx
import openvino as ov
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

A = [2**32 + 1, 2**33, 5]


def run(name, kind, out, second=None, **attributes):
    """One node on A, or on A and `second`."""
    inputs = ["a", "b"][: 1 if second is None else 2]
    values = [helper.make_tensor_value_info(name, kind, [3]) for name in inputs]
    y = helper.make_tensor_value_info("y", out, [3])
    graph = helper.make_graph([helper.make_node(name, inputs, ["y"], **attributes)], "one", values, [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    feed = {name: np.array(numbers, dtype) for name, numbers in zip(inputs, (A, second))}
    [expected] = ReferenceEvaluator(model).run(None, feed)
    assert expected.tolist() == {"Identity": A, "Cast": A, "Add": [2 * n for n in A], "Mul": [3 * n for n in A]}[name]
    onnx.save(model, "one.onnx")
    compiled = ov.Core().compile_model("one.onnx", "CPU")
    types = (port.get_element_type().get_type_name() for port in (compiled.input(0), compiled.output(0)))
    print(name, *types, compiled(feed)[0].tolist())


run("Identity", TensorProto.INT64, TensorProto.INT64)
run("Cast", TensorProto.INT64, TensorProto.DOUBLE, to=TensorProto.DOUBLE)
run("Add", TensorProto.INT64, TensorProto.INT64, A)
run("Mul", TensorProto.UINT64, TensorProto.UINT64, [3, 3, 3])
PYTHON

seen=$(python/bin/python run.py)
printf '%s\n' "$seen"
[ "$seen" = "Identity i64 i64 [1, 0, 5]
Cast i64 f64 [4294967296.0, 8589934592.0, 5.0]
Add i64 i64 [2, 0, 10]
Mul u64 u64 [3, 0, 15]" ]
