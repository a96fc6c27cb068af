"""Operators fused for CUDA: written out, they are the network they were made of."""

from __future__ import annotations

import json

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError
from dtool.models.runtime import Runtime

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")
pytest.importorskip("sympy")
from dtool.export.metadata import describe  # noqa: E402
from dtool.export.network import cuda_operators as module  # noqa: E402
from dtool.export.network.cuda_operators import expand_fused_operators, export_for_cuda, fuse_for_cuda  # noqa: E402
from dtool.export.network.graph import to_onnx  # noqa: E402
from dtool.models.unet import UNet, UNetConfig  # noqa: E402
from dtool.run.onnxruntime_backend import OnnxNetwork  # noqa: E402
from tests.support import small_networks  # noqa: E402 - after the checks that they are there


def network(seed, **more):
    """A small U-Net with random weights."""
    torch.manual_seed(seed)
    net = UNet(UNetConfig(**{"channels": 1, "width": 16, "multipliers": (1, 2), "classes": 3} | more)).eval()
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    return net, dtool.NetworkSpec(shape=(more.get("channels", 1), 8, 12), schedule="linear", classes=3)


def unet(seed, **more):
    """The same, exported."""
    net, spec = network(seed, **more)
    proto = to_onnx(net, spec)
    describe(proto, spec)
    return proto, spec


@pytest.fixture(scope="module")
def made():
    proto, spec = unet(0)
    return proto, spec, *fuse_for_cuda(proto, spec)


@pytest.mark.parametrize("channels", [1, 3])
def test_written_out_it_is_the_network_that_it_was_made_of(made, tmp_path, channels):
    proto, spec = made[:2] if channels == 1 else unet(1, channels=3, width=32)
    before = proto.SerializeToString(deterministic=True)
    fused, counts = fuse_for_cuda(proto, spec)
    assert proto.SerializeToString(deterministic=True) == before
    assert counts["GroupNorm"] + counts["SkipGroupNorm"] > 0
    assert not [node for node in fused.graph.node if node.op_type == "InstanceNormalization"]
    plain = expand_fused_operators(fused)
    assert {node.domain for node in plain.graph.node} == {""}
    networks = []
    for name, model in (("one", proto), ("other", plain)):
        path = tmp_path / f"{name}.onnx"
        onnx.save(model, path)
        networks.append(OnnxNetwork(path, runtime=Runtime(device="cpu")))
    random = np.random.default_rng(channels)
    for batch in (1, 3, 8):
        arguments = (
            random.standard_normal((batch, *spec.shape), dtype=np.float32),
            random.uniform(0, 999, batch).astype(np.float32),
            random.integers(0, 4, batch),
        )
        wanted, said = (network.predict(*arguments) for network in networks)
        np.testing.assert_allclose(said, wanted, rtol=0, atol=1e-5 * float(np.abs(wanted).max()))


def test_it_says_what_it_is(made):
    _, spec, fused, counts = made
    said = {entry.key: entry.value for entry in fused.metadata_props}
    document = json.loads(said["dtool"])
    assert (document["variant"], document["fused"]) == ("cuda", counts)
    assert document["spec"]["classes"] == spec.classes
    assert {(opset.domain, opset.version) for opset in fused.opset_import} >= {("", 20), ("com.microsoft", 1)}
    assert fused.producer_name == "dtool"
    assert [node.name for node in fused.graph.input] == ["x", "t", "label"]


def test_a_cpu_refuses_it_with_the_reason(made, tmp_path, monkeypatch):
    path = tmp_path / "cuda.onnx"
    onnx.save(made[2], path)
    with pytest.raises(DtoolError, match=r"was fused for CUDA \(GroupNorm.*NhwcConv.*\): it runs on no CPU") as caught:
        dtool.load(path, device="cpu")
    assert "--device cuda" in caught.value.hint
    monkeypatch.setattr("dtool.onnx.fused_for_cuda.offers_cuda", lambda: False)
    with pytest.raises(DtoolError, match="it runs on no CPU"):
        OnnxNetwork(path)


def test_what_cannot_be_fused_says_why(made, tmp_path, monkeypatch):
    small_networks.write(tmp_path / "n.onnx", shape=(4,))
    proto, spec = onnx.load(tmp_path / "n.onnx"), dtool.NetworkSpec(shape=(4,), schedule="linear")
    with pytest.raises(DtoolError, match="no group normalisation was found"):
        fuse_for_cuda(proto, spec)
    monkeypatch.setattr(module.importlib, "import_module", _broken)
    with pytest.raises(DtoolError, match="optimiser is not there") as caught:
        fuse_for_cuda(*made[:2])
    assert "sympy" in caught.value.hint


def _broken(name):
    raise ImportError(f"no {name}")


def test_odd_groups_are_refused(made):
    fused = onnx.ModelProto()
    fused.CopyFrom(made[2])
    node = next(node for node in fused.graph.node if node.op_type == "GroupNorm")
    next(a for a in node.attribute if a.name == "groups").i = 16
    with pytest.raises(DtoolError, match="reads them in pairs"):
        module._require_even_groups(fused)


def test_a_checked_file_is_written_or_none(tmp_path, monkeypatch):
    net = network(2)
    path = tmp_path / "cuda.onnx"
    report = export_for_cuda(net, path, steps=3)
    assert report.comparisons
    assert report.largest < 1e-4
    assert report.size == path.stat().st_size
    assert "NhwcConv" in {node.op_type for node in onnx.load(path).graph.node}

    def wrong(proto):
        plain = expand_fused_operators(proto)
        weight = next(t for t in plain.graph.initializer if t.name.startswith("written/") and len(t.dims) == 4)
        weight.CopyFrom(onnx.numpy_helper.from_array(1.1 * onnx.numpy_helper.to_array(weight), weight.name))
        return plain

    monkeypatch.setattr(module, "expand_fused_operators", wrong)
    path.unlink()
    with pytest.raises(DtoolError):
        export_for_cuda(net, path, steps=3)
    assert list(tmp_path.iterdir()) == []
