from dtool.onnx.rewrite.transposes import rewrite
from tests.support.rewritten_graphs import GraphWriter, count_kinds, rewrite_model

ONLY = {"transposes": rewrite}
SWAP = [0, 1, 3, 2]


def test_a_pair_goes():
    net = GraphWriter()
    twice = net.node("Transpose", net.node("Transpose", "x", perm=SWAP), perm=SWAP)
    model = net.model(net.node("Relu", twice))
    assert rewrite_model(model, ONLY) == {"transposes": 1}
    assert count_kinds(model, "Transpose") == 0


def test_a_product_of_transposes_is_a_product_with_one():
    net = GraphWriter()
    product = net.node("MatMul", net.conv("x", 8), net.node("Transpose", "x", perm=SWAP))
    model = net.model(net.node("Transpose", product, perm=SWAP))
    assert rewrite_model(model, ONLY) == {"transposes": 1}
    assert count_kinds(model, "Transpose") == 1


def test_keys_that_are_turned_by_way_of_three_axes():
    net = GraphWriter()
    flat = net.node("Reshape", net.conv("x", 8), [-1, 6, 6])
    turned = net.node("Reshape", net.node("Transpose", flat, perm=[0, 2, 1]), [-1, 8, 6, 6])
    model = net.model(turned)
    assert rewrite_model(model, ONLY) == {"transposes": 1}
    assert count_kinds(model, "Reshape") == 0


def test_other_orders_and_other_shapes_stay():
    net = GraphWriter()
    other = net.node("Transpose", net.node("Transpose", "x", perm=SWAP), perm=[0, 3, 1, 2])
    flat = net.node("Reshape", "x", [-1, 12, 6])
    mixed = net.node("Reshape", net.node("Transpose", flat, perm=[0, 2, 1]), [-1, 8, 6, 6])
    used = net.node("MatMul", "x", net.node("Transpose", "x", perm=SWAP))
    model = net.model(other, mixed, used, net.node("Transpose", used, perm=SWAP))
    assert rewrite_model(model, ONLY) == {}
