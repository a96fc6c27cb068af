import numpy as np
import pytest

from dtool.onnx.rewrite.modulation import rewrite
from tests.support.rewritten_graphs import GraphWriter, count_kinds, rewrite_model

ONLY = {"modulation": rewrite}


def test_two_scales_and_two_shifts_are_one_each():
    net = GraphWriter()
    model = net.model(net.modulate(net.group_norm("x")))
    assert count_kinds(model, "Mul", "Add") == 5
    assert rewrite_model(model, ONLY) == {"modulation": 1}
    assert count_kinds(model, "Mul", "Add") == 2


def test_a_split_before_the_axes_are_added():
    net = GraphWriter()
    normal = net.group_norm("x")
    both = net.node("Gemm", "e", net.normal(16, 16), net.normal(16), transB=1)
    s, t = (net.node("Unsqueeze", one, [2, 3]) for one in net.node("Split", both, outputs=2, axis=1, num_outputs=2))
    model = net.model(net.node("Add", t, net.node("Mul", net.node("Add", np.float32(1), s), normal)))
    assert rewrite_model(model, ONLY) == {"modulation": 1}


@pytest.mark.parametrize("one", [2.0, 0.5])
def test_another_number_than_one_stays(one):
    net = GraphWriter()
    assert rewrite_model(net.model(net.modulate(net.group_norm("x"), one=one)), ONLY) == {}


def test_what_is_used_elsewhere_or_comes_of_two_layers_stays():
    net = GraphWriter()
    normal = net.group_norm("x")
    used = net.modulate(normal)
    other = net.group_norm("x")
    s, t = (
        net.node("Unsqueeze", net.node("Gemm", "e", net.normal(8, 16), net.normal(8), transB=1), [2, 3])
        for _ in range(2)
    )
    two = net.node("Add", net.node("Mul", other, net.node("Add", s, np.float32(1))), t)
    assert rewrite_model(net.model(used, normal, two), ONLY) == {}
