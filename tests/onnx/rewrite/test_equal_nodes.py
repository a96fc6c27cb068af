from dtool.onnx.rewrite.equal_nodes import rewrite
from tests.support.rewritten_graphs import GraphWriter, count_kinds, rewrite_model

ONLY = {"equal_nodes": rewrite}


def test_what_is_computed_twice_is_computed_once():
    net = GraphWriter()
    model = net.model(net.modulate(net.modulate("x", net.silu("e")), net.silu("e")))
    assert count_kinds(model, "Sigmoid") == 2
    assert rewrite_model(model, ONLY)["equal_nodes"] >= 2
    assert count_kinds(model, "Sigmoid") == 1


def test_other_inputs_and_other_attributes_stay():
    net = GraphWriter()
    first, second = net.node("Softmax", "x", axis=1), net.node("Softmax", "x", axis=2)
    assert rewrite_model(net.model(first, second, net.node("Softmax", "e", axis=1)), ONLY) == {}
