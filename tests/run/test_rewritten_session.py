import threading
import weakref

import numpy as np
import onnx
import pytest

import dtool
from dtool.models.spec import NetworkSpec
from dtool.onnx.rewrite import network as rewrite
from dtool.run.rewritten_session import SessionChoice
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


def save_beside(foreign):
    """The same network, its weights in a second file."""
    path = foreign.with_name("beside.onnx")
    onnx.save(onnx.load(foreign), path, save_as_external_data=True, location="beside.data", size_threshold=100)
    return path


def test_one_whose_weights_lie_beside_it_is_rewritten_with_one_session_at_a_time(foreign, monkeypatch):
    opened, alive = list_opened(monkeypatch), []
    network = load(save_beside(foreign))
    choose = network.run_trial
    monkeypatch.setattr(
        network, "run_trial", lambda *words: alive.append(weakref.ref(network.session)) or choose(*words), raising=False
    )
    assert len(opened) == 1
    fast = predict(network)
    assert [count_kinds(model, "Shape") > 0 for model in opened] == [True, False]
    assert [one() is not None for one in alive] == [False, True]
    monkeypatch.setattr("dtool.run.rewritten_session.rewrite_file", lambda file: None)
    assert np.abs(fast - predict(load(foreign))).max() < 1e-5


def test_one_that_was_changed_since_keeps_its_session(foreign, monkeypatch):
    opened, path = list_opened(monkeypatch), save_beside(foreign)
    network = load(path)
    path.with_name("beside.data").write_bytes(b"")
    assert np.abs(predict(network) - predict(load(foreign))).max() < 1e-5
    assert len(opened) == 3  # the other one twice


def test_one_whose_rewritten_form_cannot_be_opened_is_opened_again(foreign, monkeypatch):
    plain = predict(load(foreign))
    monkeypatch.setattr("dtool.run.rewritten_session.rewrite_file", lambda file: b"no graph")
    network = load(foreign)
    assert np.abs(predict(network) - plain).max() < 1e-5
    assert network.message != b"no graph"


def test_threads_wait_for_the_choice_of_one_of_them():
    begun, go_on, order = threading.Event(), threading.Event(), []

    def choose():
        choice.make()  # the calls that a choice makes itself
        begun.set()
        go_on.wait(10)
        order.append("chosen")

    choice = SessionChoice(choose)
    threads = [threading.Thread(target=lambda: (choice.make(), order.append("called"))) for _ in range(2)]
    threads[0].start()
    begun.wait(10)
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert order == ["chosen", "called", "called"]
