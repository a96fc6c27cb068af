#!/usr/bin/env bash
# onnxruntime 1.32.0 with onnx 1.23.2 (PyPI); 2026-11-30, Linux x86-64.
#
# Expected: a session takes as much memory for the same products whether they stand in the model's graph or in the body of a
# Loop. Instead, of weights that lie in a file beside the model, those of the graph are let go once they are rearranged for
# the products, and those of a Loop's body stay mapped beside what they were rearranged to: twice the weights.
#
# Output seen:
#   in the graph: about 1 times the weights
#   in a Loop: about 2 times the weights
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
cd "$folder"

python3 -m venv python
python/bin/pip install --quiet onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6

cat >make.py <<'PYTHON'
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE, COUNT = 2048, 8
FLOAT, BOOL, INT64 = TensorProto.FLOAT, TensorProto.BOOL, TensorProto.INT64
value, node = helper.make_tensor_value_info, helper.make_node
random = np.random.default_rng(0)
weights = [numpy_helper.from_array(random.standard_normal((SIZE, SIZE), np.float32), f"w{k}") for k in range(COUNT)]
products = [node("MatMul", [f"x{k}", f"w{k}"], [f"x{k + 1}"]) for k in range(COUNT)]
ends = [value("x0", FLOAT, ["b", SIZE])], [value(f"x{COUNT}", FLOAT, ["b", SIZE])]
graph = helper.make_graph(products, "products", *ends, weights)
body = helper.make_graph(
    [*products, node("Identity", ["go"], ["on"])], "body",
    [value("i", INT64, []), value("go", BOOL, []), *ends[0]], [value("on", BOOL, []), *ends[1]], weights,
)
loop = node("Loop", ["steps", "", "x"], ["y"], body=body)
one = numpy_helper.from_array(np.array(1), "steps")
looped = helper.make_graph([loop], "looped", [value("x", FLOAT, ["b", SIZE])], [value("y", FLOAT, ["b", SIZE])], [one])
for name, made in (("graph", graph), ("loop", looped)):
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, f"{name}.onnx", save_as_external_data=True, location=f"{name}.data")
PYTHON

cat >measure.py <<'PYTHON'
import re
import sys
from pathlib import Path

import onnxruntime


def held():
    return int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 2**10


before = held()
session = onnxruntime.InferenceSession(f"{sys.argv[1]}.onnx", providers=["CPUExecutionProvider"])
print(round((held() - before) / (8 * 2048 * 2048 * 4 / 2**20)))
PYTHON

python/bin/python make.py
seen="in the graph: about $(python/bin/python measure.py graph) times the weights
in a Loop: about $(python/bin/python measure.py loop) times the weights"
printf '%s\n' "$seen"
[ "$seen" = "in the graph: about 1 times the weights
in a Loop: about 2 times the weights" ]
