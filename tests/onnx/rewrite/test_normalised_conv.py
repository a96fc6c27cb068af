from dtool.onnx.rewrite.normalised_conv import rewrite
from tests.support.rewritten_graphs import GraphWriter, count_kinds, rewrite_model

ONLY = {"normalised_conv": rewrite}


def test_scale_and_shift_become_part_of_a_pointwise_convolution():
    net = GraphWriter()
    model = net.model(net.conv(net.group_norm("x"), 24, 1))
    assert rewrite_model(model, ONLY) == {"normalised_conv": 1}
    assert count_kinds(model, "Mul", "Add") == 0


def test_with_a_border_the_shift_would_be_missing_there():
    net = GraphWriter()
    wide, padded = net.conv(net.group_norm("x"), 8), net.conv(net.group_norm("x"), 8, 1, pads=[1, 1, 1, 1])
    assert rewrite_model(net.model(wide, padded), ONLY) == {}


def test_one_that_something_else_uses_stays():
    net = GraphWriter()
    normal = net.group_norm("x")
    assert rewrite_model(net.model(net.conv(normal, 8, 1), net.node("Relu", normal)), ONLY) == {}
