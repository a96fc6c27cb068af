import numpy as np
import onnx
import pytest

import dtool
from dtool.models.spec import NetworkSpec
from dtool.onnx.rewrite import network as rewrite
from tests.support.rewritten_graphs import SIZE, GraphWriter, count_kinds

SPEC = {"shape": (8, SIZE, SIZE), "schedule": "linear", "prediction": "eps"}


@pytest.fixture
def foreign(tmp_path):
    """A network of somebody else's, which draws its modulation from t."""
    net = GraphWriter()
    block = net.conv(net.silu(net.modulate(net.group_norm("x"), net.embed())), 8)
    graph = net.model(net.conv(net.enlarge(net.conv(block, 8, strides=[1, 1])), 8, strides=[2, 2]))
    path = tmp_path / "foreign.onnx"
    onnx.save(graph, path)
    return path


def load(path):
    return dtool.load(path, device="cpu", spec=NetworkSpec(**SPEC))


def predict(network):
    random = np.random.default_rng(0)
    return network.predict(random.standard_normal((3, *SPEC["shape"]), dtype=np.float32), np.array([0.0, 400, 999]))


def list_opened(monkeypatch):
    opened = []
    from dtool.run import onnxruntime_backend

    original = onnxruntime_backend.open_session

    def remember(data, *rest, **named):
        opened.append(onnx.load_model_from_string(data))
        return original(data, *rest, **named)

    monkeypatch.setattr(onnxruntime_backend, "open_session", remember)
    return opened


def test_somebody_elses_network_is_rewritten_when_it_is_opened(foreign, monkeypatch):
    opened = list_opened(monkeypatch)
    fast = predict(load(foreign))
    assert [count_kinds(model, "Shape") > 0 for model in opened] == [True, False]
    monkeypatch.setattr("dtool.run.rewritten_session.rewrite_file", lambda file: None)
    plain = predict(load(foreign))
    assert np.abs(fast - plain).max() < 1e-5
    assert len(opened) == 3


def test_one_that_computes_something_else_is_not_used(foreign, monkeypatch):
    def double(graph):
        [name] = [value.name for value in graph.proto.output]
        node = graph.makers[name]
        if any("doubled" in one.name for one in graph.proto.node):
            return 0
        bias = graph.get_array(node.input[2])
        doubled = graph.make_node("Conv", [*node.input[:2], graph.add_constant(2 * bias, "bias")], name)
        doubled.attribute.extend(node.attribute)
        doubled.name = "doubled"
        graph.replace(node, [doubled])
        return 1

    plain = predict(load(foreign))
    monkeypatch.setattr(rewrite, "REWRITINGS", {"wrong": double})
    assert np.abs(predict(load(foreign)) - plain).max() < 1e-5


def test_a_file_of_ours_is_opened_once_as_it_is(monkeypatch):
    opened = list_opened(monkeypatch)
    dtool.default_network(device="cpu")
    assert len(opened) == 1
