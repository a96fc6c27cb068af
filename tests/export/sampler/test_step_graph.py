"""One row of a plan as ONNX nodes: its prediction, its limits, its variance, and the network in it."""

from __future__ import annotations

import numpy as np
import pytest

import dtool

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")
from tests.support.sampler_files import both, closeness  # noqa: E402
from tests.support.small_networks import write  # noqa: E402


def test_a_learned_variance_exports(tmp_path):
    host, fused = both(tmp_path, "ddpm:sigma=learned", shape=(3, 4, 4), learned_variance=True, clip=True)
    one, other = (dtool.sample(net, fused.plan, n=4, seed=3).x0 for net in (host, fused))
    assert closeness(one, other) < 1e-5
    tilde = dtool.sample(fused, "ddpm", steps=5, n=4, seed=3).x0
    assert np.abs(tilde - other).max() > 1e-3, "the learned variance is another one"


def test_dynamic_thresholding_with_a_bound(tmp_path):
    host, fused = both(
        tmp_path, "ddim:use_clipped=false", options={"threshold": "0.9:1.3"}, shape=(3, 4), data_range=(-1.0, 2.0)
    )
    one = dtool.sample(host, fused.plan, n=5, threshold="0.9:1.3", trace=True)
    other = dtool.sample(fused, fused.plan, n=5, trace=True)
    assert closeness(one.x0, other.x0) < 1e-5
    assert closeness(np.stack(one.trace.x0), np.stack(other.trace.x0)) < 1e-5
    with pytest.raises(dtool.errors.UsageError, match=r"thresholding at 0.9:1.3, not 0.9\n") as error:
        dtool.sample(fused, fused.plan, n=5, threshold=0.9)
    assert error.value.hint == "export it again with threshold=0.9 (--threshold 0.9)"


@pytest.mark.parametrize("shape", [(8,), (3, 5, 4)])
@pytest.mark.parametrize("quantile", [0.5, 0.93, 1.0])
def test_dynamic_thresholding(shape, quantile, tmp_path):
    host, fused = both(tmp_path, "dpmpp-2m", options={"threshold": quantile}, shape=shape, data_range=(-1.0, 2.0))
    one = dtool.sample(host, fused.plan, n=5, threshold=quantile, trace=True)
    other = dtool.sample(fused, fused.plan, n=5, trace=True)
    assert closeness(one.x0, other.x0) < 1e-5
    assert closeness(one.trace.x0, other.trace.x0) < 1e-5
    clipped = dtool.sample(host, fused.plan, n=5, clip=True)
    assert quantile == 1.0 or np.abs(clipped.x0 - one.x0).max() > 1e-3


def test_a_network_that_decides_inside(tmp_path):
    """Graphs inside nodes read weights of the graph around them."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")

    class Deciding(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.early, self.late = torch.nn.Linear(6, 6), torch.nn.Linear(6, 6)

        def forward(self, x, t):
            return torch.cond(t.max() > 500, lambda x: self.late(x), lambda x: self.early(x), (x,))

    torch.manual_seed(0)
    spec = dtool.NetworkSpec(shape=(6,), schedule="linear")
    dtool.export((Deciding(), spec), tmp_path / "app.onnx", plan="ddim", steps=4)


def test_inputs_in_another_order(tmp_path):
    write(tmp_path / "net.onnx", shape=(2, 3))
    model = onnx.load(tmp_path / "net.onnx")
    turned = list(reversed(model.graph.input))
    del model.graph.input[:]
    model.graph.input.extend(turned)
    (tmp_path / "turned.onnx").write_bytes(model.SerializeToString())
    for name in ("net", "turned"):
        dtool.export(tmp_path / f"{name}.onnx", tmp_path / f"{name}-app.onnx", plan="ddpm", steps=3)
    images = [dtool.sample(dtool.load(tmp_path / f"{name}-app.onnx"), n=3).x0 for name in ("net", "turned")]
    assert (images[0] == images[1]).all()
