"""What tests of benchmarks need: which packages there are, where networks run, and timings by name."""

from __future__ import annotations

import importlib.util

import pytest

from dtool.bench.result import Benchmark, Timing
from dtool.models.runtime import Runtime

INSTALLED = {name: importlib.util.find_spec(name) is not None for name in ("diffusers", "torch", "onnx", "onnxruntime")}
ON_CPU, ON_TORCH = Runtime(device="cpu"), Runtime(backend="torch")
needs_onnx = pytest.mark.skipif(not (INSTALLED["onnx"] and INSTALLED["onnxruntime"]), reason="needs onnx, onnxruntime")
needs_torch = pytest.mark.skipif(not INSTALLED["torch"], reason="needs torch")
needs_diffusers = pytest.mark.skipif(not (INSTALLED["diffusers"] and INSTALLED["torch"]), reason="needs diffusers")


def group_timings(found: Benchmark) -> dict[tuple[str, int], Timing]:
    return {(t.name, t.batch): t for t in found.timings}
