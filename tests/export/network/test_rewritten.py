import onnx
import pytest

import dtool
from dtool.export.network import rewritten
from dtool.export.network.sources import SourceNetwork
from dtool.models.spec import NetworkSpec
from dtool.onnx.rewrite.mark import is_marked
from tests.support.rewritten_graphs import SIZE, GraphWriter, count_kinds


@pytest.fixture
def source():
    net = GraphWriter()
    model = net.model(net.conv(net.silu(net.modulate(net.group_norm("x"), net.embed())), 8))
    return SourceNetwork(proto=model, spec=NetworkSpec(shape=(8, SIZE, SIZE), schedule="linear"), module=None)


def get_metadata(model):
    return {prop.key: prop.value for prop in model.metadata_props}


def test_the_graph_is_rewritten_and_marked(source):
    weak = SourceNetwork(proto=source.proto, spec=source.spec, module=None, weak=source.proto)
    fast = rewritten.rewrite_source(weak)
    for proto in (fast.proto, fast.weak):
        assert count_kinds(proto, "Shape") == 0
        assert is_marked(get_metadata(proto))
    assert count_kinds(source.proto, "Shape") == 1


def test_what_would_change_an_output_is_not_kept(source, monkeypatch):
    monkeypatch.setattr(rewritten, "are_equal", lambda one, other: False)
    assert rewritten.rewrite_source(source).proto is source.proto


def test_a_network_that_is_too_large_to_be_held_twice_stays(source, monkeypatch):
    monkeypatch.setattr(rewritten, "is_large", lambda proto: True)
    assert rewritten.rewrite_source(source).proto is source.proto


def test_an_exported_network_says_so_and_runs_as_it_is(tmp_path):
    pytest.importorskip("torch")
    from dtool.models.unet import UNet, UNetConfig

    module = UNet(UNetConfig(channels=1, width=8, multipliers=(1, 2), classes=2))
    report = dtool.export(
        (module, NetworkSpec(shape=(1, 8, 8), classes=2, schedule="linear")), tmp_path / "net.onnx", steps=2
    )
    model = onnx.load(report.path)
    assert is_marked(get_metadata(model))
    assert count_kinds(model, "Shape") == 0
    assert count_kinds(model, "ConvTranspose") >= 1
