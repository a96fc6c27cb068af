import pytest

from dtool.onnx.rewrite.stacked_parts import rewrite
from tests.support.rewritten_graphs import GraphWriter, count_kinds, rewrite_model

ONLY = {"stacked_parts": rewrite}


def take(net: GraphWriter, parts: str, entry: int, length: int = 1, axis: int = 1) -> str:
    part = net.node("Slice", parts, [entry], [entry + length], [axis])
    return net.node("Relu", net.node("Squeeze", part, [axis]) if length == 1 else part)


def test_every_entry_of_the_second_axis():
    net = GraphWriter()
    parts = net.node("Reshape", "x", [-1, 4, 2, 6, 6])
    model = net.model(*(take(net, parts, k) for k in (1, 0, 3, 2)))
    assert rewrite_model(model, ONLY) == {"stacked_parts": 1}
    assert count_kinds(model, "Slice", "Squeeze") == 0
    assert count_kinds(model, "Split") == 1


@pytest.mark.parametrize(("entries", "axis"), [((0, 1, 2), 1), ((0, 1), 2)])
def test_some_entries_alone_or_another_axis_stay(entries, axis):
    net = GraphWriter()
    parts = net.node("Reshape", "x", [-1, 4, 2, 6, 6])
    assert rewrite_model(net.model(*(take(net, parts, k, axis=axis) for k in entries)), ONLY) == {}


def test_one_that_is_used_whole_stays():
    net = GraphWriter()
    parts = net.node("Reshape", "x", [-1, 2, 4, 6, 6])
    assert rewrite_model(net.model(take(net, parts, 0), take(net, parts, 1), parts), ONLY) == {}


def test_entries_that_are_taken_together_stay():
    net = GraphWriter()
    parts = net.node("Reshape", "x", [-1, 2, 4, 6, 6])
    assert rewrite_model(net.model(take(net, parts, 0, 2)), ONLY) == {}
