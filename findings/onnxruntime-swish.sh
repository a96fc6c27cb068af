#!/usr/bin/env bash
# onnxruntime 1.32.0, onnx 1.23.2 (PyPI); 2026-11-30, Linux x86-64, CPU.
#
# Swish came with opset 24 as a function: the standard itself says of which operators it is made (Sigmoid and Mul), so that
# a runtime without a kernel of its own can write it out. ONNX Runtime does that for a model of opset 24. Of the same model
# at opset 25, where Swish has not changed, it says that there is no implementation of Swish(24), although it accepts the
# opset, and other functions, HardSwish and Mish among them, go on working.
# Raising a model's opset by one is thus enough to break it.
#
# Output seen:
#   Swish: 24 runs, 25 does not run, 26 does not run
#   HardSwish: 24 runs, 25 runs, 26 runs
#   Mish: 24 runs, 25 runs, 26 runs
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
cd "$folder"

python3 -m venv python
python/bin/pip install --quiet onnx==1.23.2 onnxruntime==1.32.0 numpy

cat >run.py <<'PYTHON'
import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

X = np.array([-1, 0, 2], np.float32)


def verdict(operator, opset):
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node(operator, ["x"], ["y"])], "one", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=11)
    onnx.checker.check_model(model, full_check=True)
    [expected] = ReferenceEvaluator(model).run(None, {"x": X})
    try:
        session = ort.InferenceSession(model.SerializeToString())
    except Exception as error:
        assert f"Could not find an implementation for {operator}" in str(error), error
        return f"{opset} does not run"
    [y] = session.run(None, {"x": X})
    assert np.allclose(y, expected, atol=1e-6), (y, expected)
    return f"{opset} runs"


for operator in ("Swish", "HardSwish", "Mish"):
    print(f"{operator}: " + ", ".join(verdict(operator, opset) for opset in (24, 25, 26)))
PYTHON

seen=$(python/bin/python run.py)
printf '%s\n' "$seen"
[ "$seen" = "Swish: 24 runs, 25 does not run, 26 does not run
HardSwish: 24 runs, 25 runs, 26 runs
Mish: 24 runs, 25 runs, 26 runs" ]
