#!/usr/bin/env bash
# onnxruntime-node 1.30.0 (npm), onnxruntime 1.32.0 (PyPI), Node.js 20; 2026-11-30, Linux x86-64.
#
# In ONNX an initializer that is a graph input too is a default: a caller may give another value (IR version 4 and later).
# y = x + b has such a b, of 1. Given x = [0, 0] and b = 100, y is [100, 100], and so it is in Python.
# onnxruntime-node answers [1, 1]: it lists x alone among the inputs, takes the feed of b without an error or a warning, and
# uses the default. A name that the model does not have at all is taken without a word as well.
# (onnxruntime-web 1.30.0 refuses: "invalid input 'b'".)
#
# Output seen:
#   Python: [100.0, 100.0]
#   node: {"inputs":["x"],"fed":[1,1],"fedUnknown":[1,1]}
#
# --ignore-scripts: the package's install script looks for CUDA libraries on another host; the CPU's are in the package.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
cd "$folder"

python3 -m venv python
python/bin/pip install --quiet onnx==1.23.2 onnxruntime==1.32.0 numpy
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts onnxruntime-node@1.30.0

cat >make.py <<'PYTHON'
import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

graph = helper.make_graph(
    [helper.make_node("Add", ["x", "b"], ["y"])],
    "sum",
    [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [2]),
        helper.make_tensor_value_info("b", TensorProto.FLOAT, []),
    ],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
    [numpy_helper.from_array(np.float32(1), "b")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
onnx.checker.check_model(model, full_check=True)
onnx.save(model, "sum.onnx")
options = ort.SessionOptions()
options.log_severity_level = 3
session = ort.InferenceSession("sum.onnx", options)
[y] = session.run(None, {"x": np.zeros(2, np.float32), "b": np.array(100, np.float32)})
print("Python:", y.tolist())
PYTHON

cat >run.cjs <<'JAVASCRIPT'
const ort = require("onnxruntime-node");

(async () => {
  const session = await ort.InferenceSession.create("sum.onnx", { logSeverityLevel: 3 });
  const x = new ort.Tensor("float32", Float32Array.of(0, 0), [2]);
  const hundred = new ort.Tensor("float32", Float32Array.of(100), []);
  const fed = await session.run({ x, b: hundred });
  const fedUnknown = await session.run({ x, nonsense: hundred });
  const numbers = ({ y }) => Array.from(y.data);
  console.log(JSON.stringify({ inputs: session.inputNames, fed: numbers(fed), fedUnknown: numbers(fedUnknown) }));
})();
JAVASCRIPT

python=$(python/bin/python make.py)
node=$(node run.cjs)
printf '%s\nnode: %s\n' "$python" "$node"
[ "$python" = "Python: [100.0, 100.0]" ]
[ "$node" = '{"inputs":["x"],"fed":[1,1],"fedUnknown":[1,1]}' ]
