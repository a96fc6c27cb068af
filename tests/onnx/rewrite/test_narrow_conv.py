import pytest

from dtool.onnx.rewrite.narrow_conv import rewrite
from tests.support.rewritten_graphs import GraphWriter, rewrite_model

ONLY = {"narrow_conv": rewrite}


@pytest.mark.parametrize(("out", "size"), [(1, 3), (2, 5)])
def test_a_convolution_to_a_few_channels(out, size):
    net = GraphWriter()
    model = net.model(net.conv("x", out, size))
    assert rewrite_model(model, ONLY) == {"narrow_conv": 1}
    assert [node.op_type for node in model.graph.node] == ["ConvTranspose"]


def test_wide_pointwise_strided_and_shallow_ones_stay():
    net = GraphWriter()
    found = [
        net.conv("x", 3),
        net.conv("x", 1, 1),
        net.conv("x", 1, strides=[2, 2]),
        net.conv("x", 1, pads=[0, 0, 2, 2]),
        net.conv(net.conv("x", 3), 1),
    ]
    assert rewrite_model(net.model(*found), ONLY) == {}
