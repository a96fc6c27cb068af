"""Traces of Jacobians: exact, estimated, by products and by differences."""

import numpy as np
import pytest
import torch

import dtool
from dtool.likelihood.jacobian import choose_trace
from dtool.likelihood.network_calls import Caller


def smooth(x, t):
    """A function whose Jacobian is full: every number depends on every other."""
    mix = np.random.default_rng(0).standard_normal((6, 6)) / 3
    return np.tanh(x @ mix + 0.001 * t[:, None]) @ mix.T


def smooth_torch(x, t):
    mix = torch.from_numpy(np.random.default_rng(0).standard_normal((6, 6)) / 3).to(x.dtype)
    return torch.tanh(x @ mix + 0.001 * t[:, None]) @ mix.T


def traced(network, x, probes=None, jacobian=None):
    way, call = choose_trace(network, Caller(network, None), jacobian)
    place = np.arange(len(x))
    return way, *call(x, np.full(len(x), 300.0), np.full(len(x), 0.3), probes, place)


def test_the_exact_trace_by_products_and_by_differences():
    x = np.random.default_rng(3).standard_normal((70, 6))
    mix = np.random.default_rng(0).standard_normal((6, 6)) / 3
    inner = 1 - np.tanh(x @ mix + 0.3) ** 2
    exact = np.einsum("bj,ij,ij->b", inner, mix, mix)
    tensors = dtool.network(smooth_torch, shape=(6,), backend="torch")
    way, output, trace = traced(tensors, x)
    assert way == "products"
    assert trace == pytest.approx(exact, rel=1e-12)
    assert output == pytest.approx(smooth(x, np.full(70, 300.0)), rel=1e-12)
    for network, jacobian in ((dtool.network(smooth, shape=(6,)), None), (tensors, "differences")):
        way, output, trace = traced(network, x, jacobian=jacobian)
        assert way == "differences"
        assert trace == pytest.approx(exact, abs=1e-7)

    class Single(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.mix = torch.nn.Parameter(torch.from_numpy(mix).float())

        def forward(self, x, t):
            return torch.tanh(x @ self.mix + 0.001 * t[:, None]) @ self.mix.T

    single = dtool.network(Single(), shape=(6,))
    assert traced(single, x)[2] == pytest.approx(exact, rel=1e-5)
    assert traced(single, x, jacobian="differences")[2] == pytest.approx(exact, abs=3e-4)


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_hutchinsons_trace_is_unbiased(backend):
    x = np.random.default_rng(4).standard_normal((3, 6))
    network = dtool.network(smooth if backend == "numpy" else smooth_torch, shape=(6,), backend=backend)
    exact = traced(network, x)[2]
    signs = np.where(np.random.default_rng(5).random((3000, 3, 6)) < 0.5, -1.0, 1.0)
    single = np.stack([traced(network, x, probes[None])[2] for probes in signs[:300]])
    z = (single.mean(axis=0) - exact) / (single.std(axis=0, ddof=1) / np.sqrt(len(single)))
    assert abs(z).max() < 4
    # all 2⁶ vectors of ±1 together are the exact trace
    every = np.array(np.meshgrid(*[[-1.0, 1.0]] * 6)).reshape(6, -1).T
    whole = traced(network, x, np.repeat(every[:, None], 3, axis=1))[2]
    assert whole == pytest.approx(exact, abs=1e-6)
