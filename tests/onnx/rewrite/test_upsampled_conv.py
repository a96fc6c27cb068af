import numpy as np
import pytest

from dtool.onnx.rewrite import resize_scales
from dtool.onnx.rewrite.upsampled_conv import TAPS, rewrite
from tests.support.rewritten_graphs import GraphWriter, count_kinds, rewrite_model

BOTH = {"resize_scales": resize_scales.rewrite, "upsampled_conv": rewrite}


def test_every_weight_meets_each_number_of_the_enlarged_image_twice():
    assert np.array_equal(TAPS.sum(0), [2, 2, 2])
    assert np.array_equal(TAPS.sum(1), [1, 2, 2, 1])


@pytest.mark.parametrize("out", [1, 3, 8])
def test_a_pair_is_one_transposed_convolution(out):
    net = GraphWriter()
    model = net.model(net.conv(net.enlarge("x"), out))
    assert rewrite_model(model, BOTH)["upsampled_conv"] == 1
    assert [node.op_type for node in model.graph.node] == ["ConvTranspose"]


@pytest.mark.parametrize(
    "attributes",
    [{"strides": [2, 2]}, {"pads": [0] * 4}, {"dilations": [2, 2]}, {"pads": [1, 1, 0, 0]}, {"auto_pad": "SAME_UPPER"}],
)
def test_other_convolutions_stay(attributes):
    net = GraphWriter()
    if "auto_pad" in attributes:
        attributes["pads"] = None
    model = net.model(net.conv(net.enlarge("x"), 8, **attributes))
    assert "upsampled_conv" not in rewrite_model(model, BOTH)


def test_another_kernel_factor_or_rounding_stays():
    net = GraphWriter()
    wide = net.conv(net.enlarge("x"), 8, 5)
    three = net.conv(net.enlarge("x", 3), 8)
    ceil = net.conv(net.enlarge("x", nearest_mode="ceil"), 8)
    model = net.model(wide, three, ceil)
    assert "upsampled_conv" not in rewrite_model(model, BOTH)


def test_an_enlarged_image_that_something_else_uses_stays():
    net = GraphWriter()
    large = net.enlarge("x")
    model = net.model(net.conv(large, 8), net.node("Relu", large))
    assert "upsampled_conv" not in rewrite_model(model, BOTH)
    assert count_kinds(model, "Resize") == 1
