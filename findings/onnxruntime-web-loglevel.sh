#!/usr/bin/env bash
# onnxruntime-web 1.30.0 (npm), run by Node.js 20 on its WebAssembly backend; 2026-11-30, Linux x86-64.
#
# `ort.env.logLevel = "error"`, set before anything else, ought to keep warnings off the console, for it is documented as
# the logging severity level. The warnings of a session come all the same, because a session that is not told its own level
# logs from "warning" on. Only `logSeverityLevel: 3` among the options of each session silences them.
# The model has an initializer that no node uses, which is worth a warning.
#
# Output seen, the number of lines that speak of the initializer:
#   by env.logLevel: 1
#   by logSeverityLevel: 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
cd "$folder"

python3 -m venv python
python/bin/pip install --quiet onnx==1.23.2 numpy
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts onnxruntime-web@1.30.0

python/bin/python - <<'PYTHON'
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

graph = helper.make_graph(
    [helper.make_node("Neg", ["x"], ["y"])],
    "negative",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
    [numpy_helper.from_array(np.ones(3, np.float32), "idle")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
onnx.checker.check_model(model, full_check=True)
onnx.save(model, "model.onnx")
PYTHON

cat >run.mjs <<'JAVASCRIPT'
import { readFileSync } from "node:fs";
import * as ort from "onnxruntime-web";

ort.env.logLevel = "error";
const options = { executionProviders: ["wasm"] };
if (process.argv[2]) options.logSeverityLevel = Number(process.argv[2]);
await ort.InferenceSession.create(new Uint8Array(readFileSync("model.onnx")), options);
JAVASCRIPT

warnings() { { node run.mjs "$@" 2>&1 | grep -c "idle"; } || true; }
loud=$(warnings)
quiet=$(warnings 3)
printf 'by env.logLevel: %s\nby logSeverityLevel: %s\n' "$loud" "$quiet"
[ "$loud" = 1 ]
[ "$quiet" = 0 ]
