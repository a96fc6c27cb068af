#!/usr/bin/env bash
# k-diffusion 0.1.1.post1 with torch 2.13.0 (PyPI); 2026-11-30, Linux x86-64.
#
# Importing k_diffusion.models sets torch._dynamo.config.suppress_errors to True for the whole process, not for its own
# modules alone. From then on torch.compile of anybody's module raises nothing when its compiler fails: the module runs
# uncompiled, and only a log record says so. A program that tries a compiled network and falls back on the error, or that
# measures it, compares eager with eager.
#
# Output seen:
#   before False
#   after k_diffusion.models.axial_rope True
#   a compiler that fails, before: raises BackendCompilerFailed
#   a compiler that fails, after: the module's own answer, no error
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
cd "$folder"

python3 -m venv python
python/bin/pip install --quiet torch==2.13.0 numpy einops==0.8.2
python/bin/pip install --quiet --no-deps k-diffusion==0.1.1.post1

cat >run.py <<'PYTHON'
import importlib
import importlib.util
import logging
import sys
import types
from pathlib import Path

import torch
import torch._dynamo

logging.disable(logging.CRITICAL)


def failing_compiler(graph, inputs):
    raise RuntimeError("no such compiler")


def try_it():
    torch._dynamo.reset()
    try:
        answer = torch.compile(torch.nn.ReLU(), backend=failing_compiler)(torch.ones(2))
    except Exception as error:
        return f"raises {type(error).__name__}"
    return f"the module's own answer, {'no error' if answer.tolist() == [1, 1] else 'changed'}"


print("before", torch._dynamo.config.suppress_errors)
before = try_it()
# Two files of the package, for the package as a whole needs much more than this shows.
folder = Path(importlib.util.find_spec("k_diffusion").origin).parent
for name, place in (("k_diffusion", folder), ("k_diffusion.models", folder / "models")):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [str(place)]
importlib.import_module("k_diffusion.models.axial_rope")
print("after k_diffusion.models.axial_rope", torch._dynamo.config.suppress_errors)
print("a compiler that fails, before:", before)
print("a compiler that fails, after:", try_it())
PYTHON

seen=$(python/bin/python run.py)
printf '%s\n' "$seen"
[ "$seen" = "before False
after k_diffusion.models.axial_rope True
a compiler that fails, before: raises BackendCompilerFailed
a compiler that fails, after: the module's own answer, no error" ]
