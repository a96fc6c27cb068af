#!/usr/bin/env bash
# IREE 3.13.0 (iree-base-compiler, PyPI), target llvm-cpu; 2026-11-30, Linux x86-64.
#
# A Cast between 64-bit whole numbers compiles in one direction alone: uint64 to int64 does, int64 to uint64 does not
# ("failed to legalize operation 'torch.operator' that was explicitly marked illegal"), nor does float32 to uint64.
# The importer takes all three models; only the compiler refuses.
#
# Output seen:
#   UINT64 to INT64 compiles
#   INT64 to UINT64 does not compile
#   FLOAT to UINT64 does not compile
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
cd "$folder"

python3 -m venv python
python/bin/pip install --quiet 'iree-base-compiler[onnx]==3.13.0' onnx==1.23.2 numpy

cat >run.py <<'PYTHON'
import subprocess
import sys

import iree.compiler
import onnx
from onnx import TensorProto, helper

for source, target in (("UINT64", "INT64"), ("INT64", "UINT64"), ("FLOAT", "UINT64")):
    x, y = (helper.make_tensor_value_info(n, getattr(TensorProto, k), [3]) for n, k in (("x", source), ("y", target)))
    cast = helper.make_node("Cast", ["x"], ["y"], to=getattr(TensorProto, target))
    graph = helper.make_graph([cast], "cast", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, "cast.onnx")
    command = [sys.executable, "-m", "iree.compiler.tools.import_onnx", "cast.onnx", "-o", "cast.mlir"]
    subprocess.run(command, check=True, capture_output=True)
    try:
        iree.compiler.compile_file("cast.mlir", target_backends=["llvm-cpu"], input_type="onnx")
        print(source, "to", target, "compiles")
    except iree.compiler.CompilerToolError as error:
        assert "explicitly marked illegal" in str(error), error
        print(source, "to", target, "does not compile")
PYTHON

seen=$(python/bin/python run.py)
printf '%s\n' "$seen"
[ "$seen" = "UINT64 to INT64 compiles
INT64 to UINT64 does not compile
FLOAT to UINT64 does not compile" ]
