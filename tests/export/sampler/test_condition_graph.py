"""The inputs for conditions have the names that the network gives them, whatever is called so inside."""

from __future__ import annotations

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


def export_named(name, folder):
    """A network with a condition of this name, and its file."""
    spec = dtool.NetworkSpec(
        shape=(2,), schedule="linear", clip=True, conditions=({"name": name, "shape": (2,), "null": 0},)
    )

    def net(x, t, **others):
        return 0.5 * x + others[name] * torch.cos(t)[:, None]

    dtool.export((net, spec), folder / "net.onnx", check=False)
    return dtool.load(folder / "net.onnx", device="cpu")


@pytest.mark.parametrize("name", ["size", "key", "next_x", "rows", "text.embeds/0"])
def test_a_condition_may_be_called_as_a_value_inside(name, tmp_path):
    host = export_named(name, tmp_path)
    dtool.export(tmp_path / "net.onnx", tmp_path / "app.onnx", plan="ddpm", steps=3, check=False)
    file = dtool.load(tmp_path / "app.onnx", device="cpu")
    inputs = {value.name for value in onnx.load(tmp_path / "app.onnx").graph.input}
    assert {name, f"{name}_without"} <= inputs
    told = {"conditions": {name: np.ones((3, 2), np.float32)}, "guidance": 4, "n": 3}
    one, other = (dtool.sample(net, file.plan, **told).x0 for net in (host, file))
    assert np.abs(one - other).max() < 1e-5


@pytest.mark.parametrize("name", ["seed", "images", "table"])
def test_a_condition_that_is_called_as_an_input_of_its_own(name, tmp_path):
    spec = dtool.NetworkSpec(shape=(2,), schedule="linear", conditions=({"name": name, "shape": (2,)},))

    def net(x, t, **others):
        return 0.5 * x + others[name]

    dtool.export((net, spec), tmp_path / "net.onnx", check=False)
    with pytest.raises(UsageError, match=f"would be called {name}"):
        dtool.export(tmp_path / "net.onnx", tmp_path / "app.onnx", plan="ddim", steps=2)
