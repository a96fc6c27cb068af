"""The bare network: called as often as a run calls it, and nothing else."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

import dtool
from dtool.bench.bare_network import make_bare_run, make_bound_run

INSTALLED = {name: importlib.util.find_spec(name) is not None for name in ("torch", "onnxruntime")}
needs_torch = pytest.mark.skipif(not INSTALLED["torch"], reason="needs torch")


@pytest.mark.parametrize(("calls", "batch"), [(1, 1), (3, 2), (7, 5)])
def test_the_bare_network_is_called_as_often_as_it_should(calls, batch):
    seen = []

    def fn(x, t, label):
        seen.append((x.shape, t.shape, label.shape))
        return 0 * x

    net = dtool.network(fn, shape=(2, 3), classes=4)
    for made in (make_bare_run(net, calls, batch), make_bound_run(net, calls, batch)):
        seen.clear()
        made()
        assert seen == [((batch, 2, 3), (batch,), (batch,))] * calls


@pytest.mark.skipif(not INSTALLED["onnxruntime"], reason="needs onnxruntime")
def test_on_onnxruntime_it_is_the_session_and_nothing_is_left_changed():
    net = dtool.default_network("cpu")
    session = net.session
    runs = []

    class Counting:
        def run(self, names, feed, *options):
            runs.append({name: value.shape for name, value in feed.items()})
            return session.run(names, feed, *options)

    net.session = Counting()
    try:
        made = make_bare_run(net, 3, 2)
        runs.clear()
        made()
    finally:
        net.session = session
    assert len(runs) == 3
    assert (2, 1, 28, 28) in runs[0].values()
    before = net.predict(*(np.zeros(s, d) for s, d in (((1, 1, 28, 28), "f4"), (1, "f4"), (1, "i8"))))
    make_bare_run(net, 1, 1)()
    make_bound_run(net, 1, 1)()
    assert net.session is session
    after = net.predict(*(np.zeros(s, d) for s, d in (((1, 1, 28, 28), "f4"), (1, "f4"), (1, "i8"))))
    assert np.array_equal(before, after)


@needs_torch
def test_on_pytorch_it_is_the_module():
    import torch

    shapes = []

    class Module(torch.nn.Module):
        def forward(self, x, t):
            shapes.append((tuple(x.shape), tuple(t.shape), torch.is_grad_enabled()))
            return x

    net = dtool.load(Module(), spec=dtool.NetworkSpec(shape=(4,), schedule="linear"), device="cpu")
    make_bare_run(net, 5, 3)()
    assert shapes == [((3, 4), (3,), False)] * 5
