"""Functions, methods and objects as modules, whose own modules are left alone."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from dtool.export.network.function_module import FunctionModule  # noqa: E402

OUTSIDE = nn.Linear(2, 2)


class Held:
    def __init__(self):
        self.net = nn.Linear(2, 2)

    def __call__(self, x, t):
        return self.net(x) + t[:, None]


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(2, 2)

    def run(self, x, t):
        return self.net(x) + t[:, None]


def make_closure():
    net = nn.Linear(2, 2)
    return (lambda x, t: net(x) + t[:, None]), net


def make_global():
    return (lambda x, t: OUTSIDE(x) + t[:, None]), OUTSIDE


def make_object():
    held = Held()
    return held, held.net


def make_method():
    model = Model()
    return model.run, model.net


@pytest.mark.parametrize("make", [make_closure, make_global, make_object, make_method])
def test_its_modules_are_copies_inside(make):
    function, net = make()
    module = FunctionModule(function)
    x, t = torch.ones(3, 2), torch.arange(3.0)
    assert torch.equal(module(x, t), function(x, t))
    assert len(list(module.parameters())) == 2
    module.double()
    assert module(x.double(), t.double()).dtype == torch.float64
    assert net.weight.dtype == torch.float32


def test_an_exported_function(tmp_path):
    pytest.importorskip("onnxscript")
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    import dtool
    from tests.support.attending_networks import TEXT, make_attending

    inner, spec = make_attending(TEXT)

    def net(x, t, text):
        return (inner(x, t, text=text).sample,)

    report = dtool.export((net, spec), tmp_path / "net.onnx", steps=2)
    assert report.largest < 1e-5
    weights = [t.dims[:2] for t in onnx.load(report.path).graph.initializer if len(t.dims) == 4]
    assert {2, 8} <= {size for sizes in weights for size in sizes}, "the network's own, in whichever form"
