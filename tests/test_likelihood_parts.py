"""The parts of the ODE's likelihood: traces of Jacobians, and the solvers."""

import numpy as np
import pytest
import torch

import dtool
from dtool.likelihood.calls import Caller
from dtool.likelihood.jacobian import jacobian_for
from dtool.likelihood.solver import heun, rk45
from dtool.networks.unet import UNet, UNetConfig


def test_the_solvers_on_an_equation_with_a_known_solution():
    """y' = λy + the last entry's sum: orders 2 and 5, and the error within what was asked for."""
    rates = np.array([[-1.0, 0.5], [-3.0, 0.2], [0.3, -0.7]])

    def slope(y, at, place):
        inner = rates[place] * y[:, :-1] + np.cos(at)[:, None]
        return np.concatenate([inner, y[:, :-1].sum(axis=1, keepdims=True)], axis=1)

    start = np.ones((3, 3))
    best = rk45(slope, start, 0.0, 2.0, np.full(3, 1e-13), 1e-13)
    homogeneous = (1 + rates / (1 + rates**2)) * np.exp(2 * rates)
    exact = homogeneous + (np.sin(2) - rates * np.cos(2)) / (1 + rates**2)
    assert best[:, :2] == pytest.approx(exact, abs=1e-11)
    errors = [abs(heun(slope, start, 0.0, 2.0, n) - best).max() for n in (40, 80, 160)]
    assert np.log2(np.array(errors[:-1]) / errors[1:]) == pytest.approx(2, abs=0.1)
    for tolerance in (1e-4, 1e-7, 1e-10):
        found = rk45(slope, start, 0.0, 2.0, np.full(3, tolerance), tolerance)
        assert abs(found - best).max() < 50 * tolerance
        alone = rk45(
            lambda y, at, place: slope(y, at, place + 1), start[1:2], 0.0, 2.0, np.full(3, tolerance), tolerance
        )
        assert np.array_equal(alone[0], found[1])  # every image chooses its own steps


def smooth(x, t):
    """A function whose Jacobian is full: every number depends on every other."""
    mix = np.random.default_rng(0).standard_normal((6, 6)) / 3
    return np.tanh(x @ mix + 0.001 * t[:, None]) @ mix.T


def smooth_torch(x, t):
    mix = torch.from_numpy(np.random.default_rng(0).standard_normal((6, 6)) / 3).to(x.dtype)
    return torch.tanh(x @ mix + 0.001 * t[:, None]) @ mix.T


def traced(network, x, probes=None, jacobian=None):
    way, call = jacobian_for(network, Caller(network, None), jacobian)
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


def test_a_unet_with_attention_has_one_trace_however_it_is_had():
    torch.manual_seed(0)
    module = UNet(UNetConfig(channels=1, width=8, multipliers=(1, 2), attention=(1,), head_width=8, classes=3))
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    x = np.random.default_rng(6).standard_normal((5, 1, 4, 4))
    labels = np.array([0, 1, 2, 3, 1])
    network = dtool.network(module, shape=(1, 4, 4), classes=3)
    traces = []
    for jacobian in ("products", "differences"):
        _, call = jacobian_for(network, Caller(network, labels), jacobian)
        traces.append(call(x, np.full(5, 300.0), np.full(5, 0.3), None, np.arange(5))[1])
    assert abs(traces[0]).min() > 0.01
    assert traces[1] == pytest.approx(traces[0], abs=1e-2 * abs(traces[0]).max())
    # an image's trace is its own: the same without the others
    _, call = jacobian_for(network, Caller(network, labels[2:3]), "products")
    alone = call(x[2:3], np.full(1, 300.0), np.full(1, 0.3), None, np.arange(1))[1]
    assert alone == pytest.approx(traces[0][2:3], rel=1e-5)
