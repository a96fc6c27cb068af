import numpy as np
import onnx
import pytest

from dtool.onnx.rewrite.comparison import are_equal
from dtool.onnx.rewrite.network import REWRITINGS, rewrite_network
from tests.support.rewritten_graphs import GraphWriter, count_kinds, draw_network, run_model


@pytest.mark.parametrize("seed", range(12))
def test_random_networks_compute_what_they_did(seed):
    model = draw_network(seed)
    content = model.SerializeToString(deterministic=True)
    rewritten, counts = rewrite_network(model)
    assert model.SerializeToString(deterministic=True) == content
    onnx.checker.check_model(rewritten, full_check=True)
    for batch in (1, 3):
        assert are_equal(run_model(model, batch, plain=True), run_model(rewritten, batch))
    assert rewrite_network(rewritten)[1] == {}  # there is nothing left
    assert all(node.domain == "" for node in rewritten.graph.node)
    assert counts.keys() <= REWRITINGS.keys()


def test_every_rewriting_is_made_in_some_random_network():
    made = set().union(*(rewrite_network(draw_network(seed))[1] for seed in range(24)))
    assert made == set(REWRITINGS)


def make_unet() -> onnx.ModelProto:
    net = GraphWriter()
    block = net.conv(net.silu(net.modulate(net.group_norm(net.conv("x", 8)), net.silu("e"))), 8)
    small = net.attention(net.add("x", block))
    large = net.conv(net.enlarge(small), 8)
    return net.model(net.conv(net.silu(net.modulate(net.group_norm(large), net.silu("e"))), 1))


def test_an_image_has_the_same_bits_in_any_batch():
    rewritten, _ = rewrite_network(make_unet())
    [eight], [one] = run_model(rewritten, 8), run_model(rewritten, 1)
    [whole], [alone] = run_model(make_unet(), 8), run_model(make_unet(), 1)
    assert np.array_equal(whole[:1], alone), "the original's bits depend on the batch here: choose another size"
    assert np.array_equal(eight[:1], one)


def test_no_shape_is_computed_at_run_time():
    rewritten, _ = rewrite_network(make_unet())
    assert count_kinds(rewritten, "Shape", "Slice", "Squeeze", "Resize") == 0
    assert count_kinds(rewritten, "Gemm") == 1
    assert len(rewritten.graph.node) < 0.7 * len(make_unet().graph.node)


def test_an_old_operator_set_is_left_alone():
    net = GraphWriter()
    model = net.model(net.node("Relu", net.conv("x", 8)))
    model.opset_import[0].version = 12
    assert rewrite_network(model)[0] is model


def test_weights_in_other_files_stay_there_and_are_not_read(tmp_path):
    net = GraphWriter()
    model = net.model(net.conv(net.enlarge(net.group_norm("x")), 8))
    onnx.save_model(model, tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=1024)
    apart = onnx.load(tmp_path / "m.onnx", load_external_data=False)
    (tmp_path / "m.data").unlink()
    rewritten, counts = rewrite_network(apart)
    assert counts.keys() == {"constant_shapes", "resize_scales"}
    assert any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in rewritten.graph.initializer)
