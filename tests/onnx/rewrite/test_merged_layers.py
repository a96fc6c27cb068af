from dtool.onnx.rewrite.merged_layers import rewrite
from tests.support.rewritten_graphs import GraphWriter, count_kinds, rewrite_model

ONLY = {"merged_layers": rewrite}


def test_the_modulations_of_all_blocks_are_one_layer():
    net = GraphWriter()
    first = net.modulate("x")
    second = net.modulate(net.conv(first, 16))
    plain = net.node("Unsqueeze", net.node("Gemm", "e", net.normal(16, 16), net.normal(16), transB=1), [2, 3])
    model = net.model(net.node("Add", second, plain))
    assert rewrite_model(model, ONLY) == {"merged_layers": 3}
    assert count_kinds(model, "Gemm") == count_kinds(model, "Split") == 1


def test_layers_of_other_inputs_and_those_that_are_used_as_they_are_stay():
    net = GraphWriter()
    first = net.modulate("x")
    second = net.modulate(first, net.node("Relu", "e"))
    flat = net.node("Gemm", "e", net.normal(16, 16), net.normal(16), transB=1)
    assert rewrite_model(net.model(second, flat), ONLY) == {}
