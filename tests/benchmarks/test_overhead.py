"""benchmarks/overhead.py."""

from __future__ import annotations

import pytest

import dtool
from tests.support.places import BENCHMARKS


def test_slow_calls_are_timed_too(monkeypatch, tmp_path):
    """After a slow call the network is called in another way, which the script must not miss."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from tests.support.small_networks import write

    monkeypatch.syspath_prepend(BENCHMARKS)
    import overhead

    from dtool.run import onnxruntime_backend

    write(tmp_path / "net.onnx", shape=(2, 3))
    network = dtool.load(tmp_path / "net.onnx", device="cpu")
    for slow in (60.0, -1.0):
        monkeypatch.setattr(onnxruntime_backend, "SLOW", slow)
        assert overhead._within(network, lambda: dtool.sample(network, "ddim", steps=5, n=1)) > 1
