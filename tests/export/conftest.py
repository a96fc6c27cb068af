"""Exported networks, and exports that take no time, as fixtures."""

from __future__ import annotations

import pytest

from dtool.models.spec import NetworkSpec


@pytest.fixture
def instant(monkeypatch):
    """A network whose graph is there already, for what happens after the exporter."""
    import onnx

    from dtool.export.network import graph
    from tests.support.exported_networks import Tanh
    from tests.support.graphs import proto

    one = onnx.helper.make_tensor_value_info("t", onnx.TensorProto.FLOAT, ["batch"])
    made = proto(onnx.helper.make_node("Tanh", ["x"], ["y"]))
    made.graph.input.append(one)
    monkeypatch.setattr(graph, "to_onnx", lambda *_: onnx.ModelProto.FromString(made.SerializeToString()))
    return Tanh(), NetworkSpec(shape=(3,), schedule="linear")


@pytest.fixture(scope="session", params=["unet", "colour", "vectors"])
def exported(request, tmp_path_factory):
    """Networks of other widths, shapes, predictions and schedules; exporting takes seconds, so each only once."""
    import torch

    import dtool
    from tests.support.exported_networks import Convolutions, Exported, Layers, make_unet

    folder = tmp_path_factory.mktemp(request.param)
    torch.manual_seed(0)
    net = None
    if request.param == "unet":
        net, module, spec = make_unet(folder)
    elif request.param == "colour":
        spec = NetworkSpec(shape=(3, 4, 6), schedule="vp", prediction="v", classes=4, class_names=("a", "b", "c", "d"))
        module = Convolutions(3, 12, classes=4).eval()
    else:
        spec = NetworkSpec(shape=(5,), schedule="betas", betas=(0.1, 0.2, 0.4), prediction="x0", data_range=(0.0, 1.0))
        module = Layers(5)
    steps = 10 if net else 50  # the U-Net is slow
    return Exported(module, spec, dtool.export(net or (module, spec), folder / "net.onnx", steps=steps))
