import pytest

from dtool.onnx.rewrite.resize_scales import rewrite
from tests.support.rewritten_graphs import GraphWriter, count_kinds, rewrite_model

ONLY = {"resize_scales": rewrite}


@pytest.mark.parametrize("factor", [2, 3])
def test_sizes_that_are_whole_multiples(factor):
    net = GraphWriter()
    model = net.model(net.enlarge("x", factor))
    assert rewrite_model(model, ONLY) == {"resize_scales": 1}
    assert count_kinds(model, "Shape", "Concat") == 0


def test_other_modes_of_nearest_keep_what_they_say():
    net = GraphWriter()
    model = net.model(net.enlarge("x", coordinate_transformation_mode="half_pixel", nearest_mode="ceil"))
    assert rewrite_model(model, ONLY) == {"resize_scales": 1}


def test_linear_and_broken_multiples_stay():
    net = GraphWriter()
    linear = net.enlarge("x", mode="linear")
    sizes = net.node("Concat", net.node("Shape", "x", end=2), [9, 9], axis=0)
    broken = net.node("Resize", "x", "", "", sizes, mode="nearest")
    assert rewrite_model(net.model(linear, broken), ONLY) == {}
