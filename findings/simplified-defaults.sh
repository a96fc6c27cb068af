#!/usr/bin/env bash
# onnxsim 0.8.1, onnxslim 0.1.98, onnxoptimizer 0.4.2 (PyPI); 2026-11-30, Linux x86-64.
#
# In ONNX an initializer that is a graph input too is a default, which a caller may replace (IR version 4 and later).
# y = x·(g + 1) has such a g, of 2. Simplified, the model has no input g any more and answers 3x whatever the caller wants:
# its interface has changed. onnxsim reports its check as passed (it returns True), for it tries the model with the default
# alone. Its option `mutable_initializer` keeps such inputs, but not this one, for g + 1 can be computed beforehand.
# onnxslim says nothing, and takes g out of the model that it was given too. onnxoptimizer, of which onnxsim is made, keeps g.
#
# Output seen:
#   before ['x', 'g']
#   onnxsim ['x'] check passed: True
#   onnxsim, mutable_initializer ['x']
#   onnxslim ['x'] the model given to it ['x']
#   onnxoptimizer ['x', 'g']
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
cd "$folder"

python3 -m venv python
python/bin/pip install --quiet onnxsim==0.8.1 onnxslim==0.1.98 onnxoptimizer==0.4.2 onnx==1.23.2 onnxruntime==1.32.0 numpy

cat >run.py <<'PYTHON'
import numpy as np
import onnx
import onnxoptimizer
import onnxsim
import onnxslim
from onnx import TensorProto, helper, numpy_helper


def model():
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in (("x", [2]), ("g", []))]
    graph = helper.make_graph(
        [helper.make_node("Add", ["g", "one"], ["scale"]), helper.make_node("Mul", ["x", "scale"], ["y"])],
        "scaled",
        values,
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
        [numpy_helper.from_array(np.float32(value), name) for name, value in (("g", 2), ("one", 1))],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(made, full_check=True)
    return made


def inputs(of):
    return [value.name for value in of.graph.input]


print("before", inputs(model()))
made, passed = onnxsim.simplify(model())
print("onnxsim", inputs(made), "check passed:", passed)
print("onnxsim, mutable_initializer", inputs(onnxsim.simplify(model(), mutable_initializer=True)[0]))
given = model()
print("onnxslim", inputs(onnxslim.slim(given)), "the model given to it", inputs(given))
print("onnxoptimizer", inputs(onnxoptimizer.optimize(model())))
PYTHON

seen=$(python/bin/python run.py)
printf '%s\n' "$seen"
[ "$seen" = "before ['x', 'g']
onnxsim ['x'] check passed: True
onnxsim, mutable_initializer ['x']
onnxslim ['x'] the model given to it ['x']
onnxoptimizer ['x', 'g']" ]
