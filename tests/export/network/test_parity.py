"""An exported network agrees with PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import dtool

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.mark.parametrize("batch", [1, 3, 17])
def test_agrees_with_pytorch_at_batches_not_seen_at_export(exported, batch):
    assert exported.difference(exported.inputs(batch)) < 1e-5


def test_agrees_with_pytorch_for_no_class_and_at_both_ends(exported):
    last = exported.report_last()
    for time in (0.0, last / 3, last):
        inputs = exported.inputs(2) | {"t": np.full(2, time, dtype=np.float32)}
        if exported.spec.classes:
            inputs["label"] = np.full(2, exported.spec.classes)
        assert exported.difference(inputs) < 1e-5


def test_whole_runs_agree(exported):
    """With another sampler, other images and more of them than the export itself compared."""
    networks = (
        dtool.load(exported.report.path, device="cpu"),
        dtool.load(exported.module, spec=exported.spec, device="cpu"),
    )
    assert [network.backend for network in networks] == ["onnxruntime", "torch"]
    steps = min(12, networks[0].schedule.T)
    one, other = (dtool.sample(network, "ddpm", n=3, seed=5, steps=steps).x0 for network in networks)
    assert np.abs(one - other).max() < 1e-4
    assert np.abs(one[0] - one[1]).max() > 0.01
