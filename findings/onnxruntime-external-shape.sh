#!/usr/bin/env bash
# onnxruntime 1.32.0, onnx 1.23.2 (PyPI); 2026-11-30, Linux x86-64, CPU.
#
# onnx can keep any tensor of a model in a file beside it, a Reshape's target shape too: with size_threshold=0 it keeps all
# of them there, and its plain checker and its reference evaluator take the result. ONNX Runtime does not load it, for the
# shape inference of onnx, which both it and the checker's full check run, does not read that file. The same model with its
# float weights alone outside loads. We expected that where a tensor lies makes no difference to whether a model loads, least
# of all for what onnx itself has saved.
#
# Output seen:
#   weights outside: passes the full check, loads, and computes what onnx does
#   shape outside: fails the full check, does not load (ShapeInferenceError)
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
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

X = np.arange(8, dtype=np.float32).reshape(2, 4)


def verdict(name, threshold):
    """What becomes of a model whose tensors above the threshold, in bytes, lie in a file of their own."""
    tensors = {
        "shape": np.array([-1, 2, 2], np.int64), "scale": np.full((1, 2, 2), 3, np.float32), "ones": np.ones(256, np.float32),
    }
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["r"]),
        helper.make_node("ReduceMean", ["ones"], ["one"], keepdims=0),
        helper.make_node("Mul", ["r", "scale"], ["m"]),
        helper.make_node("Mul", ["m", "one"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["b", 2, 2])],
        [numpy_helper.from_array(values, key) for key, values in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    path = f"{name}.onnx"
    onnx.save_model(model, path, save_as_external_data=True, location=f"{name}.data", size_threshold=threshold)
    onnx.checker.check_model(path)
    try:
        onnx.checker.check_model(path, full_check=True)
        full = "passes the full check"
    except onnx.shape_inference.InferenceError:
        full = "fails the full check"
    [expected] = ReferenceEvaluator(onnx.load(path)).run(None, {"x": X})
    try:
        session = ort.InferenceSession(path)
    except Exception as error:
        assert "ShapeInferenceError" in str(error), error
        return f"{full}, does not load (ShapeInferenceError)"
    assert np.allclose(session.run(None, {"x": X})[0], expected)
    return f"{full}, loads, and computes what onnx does"


print("weights outside:", verdict("weights", 512))
print("shape outside:", verdict("shape", 0))
PYTHON

seen=$(python/bin/python run.py)
printf '%s\n' "$seen"
[ "$seen" = "weights outside: passes the full check, loads, and computes what onnx does
shape outside: fails the full check, does not load (ShapeInferenceError)" ]
