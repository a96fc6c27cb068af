"""The trace of a Jacobian by automatic differentiation."""

import numpy as np
import pytest
import torch

import dtool
from dtool.likelihood.jacobian import choose_trace
from dtool.likelihood.network_calls import Caller
from dtool.models.unet import UNet, UNetConfig


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
        _, call = choose_trace(network, Caller(network, labels), jacobian)
        traces.append(call(x, np.full(5, 300.0), np.full(5, 0.3), None, np.arange(5))[1])
    assert abs(traces[0]).min() > 0.01
    assert traces[1] == pytest.approx(traces[0], abs=1e-2 * abs(traces[0]).max())
    # an image's trace is its own: the same without the others
    _, call = choose_trace(network, Caller(network, labels[2:3]), "products")
    alone = call(x[2:3], np.full(1, 300.0), np.full(1, 0.3), None, np.arange(1))[1]
    assert alone == pytest.approx(traces[0][2:3], rel=1e-5)
