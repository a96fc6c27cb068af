"""What an export reports."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


def test_the_report(exported):
    report = exported.report
    assert 0 <= report.largest <= 1e-4
    assert report.largest == max(c.difference for c in report.comparisons)
    steps = {"betas": 3, "cosine": 10}.get(exported.spec.schedule, 50)
    batches = [f"one call, batch {n}, t = 0" for n in (1, 2, 5, 16)]
    assert [c.what[: len(b)] for c, b in zip(report.comparisons, batches, strict=False)] == batches
    assert report.comparisons[-1].what == f"4 images, {steps} steps of DDIM"
    text = str(report).splitlines()
    assert text[0].startswith(f"{report.path}: ")
    assert text[-1] == f"largest difference from PyTorch {report.largest:.1e}, allowed 1e-04"
