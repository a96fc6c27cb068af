import pytest

from dtool.onnx.rewrite.constant_shapes import rewrite
from tests.support.rewritten_graphs import GraphWriter, count_kinds, rewrite_model

ONLY = {"constant_shapes": rewrite}


@pytest.mark.parametrize(("constant", "shapes"), [(False, 1), (True, 0)])
def test_a_shape_that_is_read_from_x_or_has_minus_one_for_the_batch(constant, shapes):
    net = GraphWriter()
    model = net.model(net.group_norm("x", constant=constant))
    assert count_kinds(model, "Shape") == shapes
    assert rewrite_model(model, ONLY) == {"constant_shapes": 1}
    assert count_kinds(model, "Shape") == 0


def test_shapes_that_are_not_known_stay():
    net = GraphWriter()
    length = net.node("Shape", net.node("NonZero", "e"), start=1)
    net.node("Reshape", "x", net.node("Concat", [-1], length, axis=0))
    flat = net.node("Reshape", net.node("Relu", "x"), [-1])  # the batch goes into it: no length stays
    assert rewrite_model(net.model(flat), ONLY) == {}


def test_minus_one_that_is_not_the_batch_stays():
    net = GraphWriter()
    model = net.model(net.node("Reshape", "x", [-1, 4, 6, 6]))
    assert rewrite_model(model, ONLY) == {}
