"""Large weights stay in their file until a session is opened: the same model, in a third of the memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError
from dtool.onnx import large_weights
from dtool.onnx.checked_file import read_checked_file
from dtool.onnx.protobuf import encode_field

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from dtool.export.network.adapter import embed_weights  # noqa: E402
from tests.support import foreign as make  # noqa: E402

SLOPE = np.linspace(0.25, 1, 16, dtype=np.float32).reshape(1, 4, 4)
X = np.random.default_rng(0).standard_normal((3, 1, 4, 4)).astype(np.float32)
T = np.array([0.0, 5.0, 900.0], np.float32)


@pytest.fixture(autouse=True)
def _small_counts_as_large(monkeypatch):
    monkeypatch.setattr(large_weights, "LARGE_FILE", 0)
    monkeypatch.setattr(large_weights, "LARGE_WEIGHT", 64)


def nested():
    """SLOPE·x by a weight of a graph inside a graph; and weights that are written otherwise, or needed as they are."""
    inner = helper.make_graph(
        [helper.make_node("Mul", ["x", "slope"], ["inside"])], "then",
        [], [helper.make_tensor_value_info("inside", make.FLOAT, None)], [numpy_helper.from_array(SLOPE, "slope")],
    )  # fmt: skip
    other = helper.make_graph(
        [helper.make_node("Add", ["x", "listed"], ["outside"])], "else",
        [], [helper.make_tensor_value_info("outside", make.FLOAT, None)],
        [helper.make_tensor("listed", make.FLOAT, (1, 4, 4), 3 * SLOPE.ravel())],
    )  # fmt: skip
    nodes = [
        helper.make_node("Constant", [], ["many"], value=numpy_helper.from_array(np.full(64, True), "many")),
        helper.make_node("ReduceMin", ["flags"], ["least"]),
        helper.make_node("Cast", ["least"], ["truth"], to=TensorProto.BOOL),
        helper.make_node("If", ["truth"], ["y"], then_branch=inner, else_branch=other),
    ]
    weights = [
        numpy_helper.from_array(np.ones(64, np.float32), "flags"),
        helper.make_tensor("b", 9, (64,), [False] * 64),
    ]
    return make.of_nodes(nodes, weights)


def test_what_is_left_out_and_put_back_is_the_same_model(tmp_path):
    proto = nested()
    path = make.saved(proto, tmp_path, "net.onnx")
    checked = read_checked_file(path)
    assert {tensor.name for tensor in checked.weights.tensors} == {"slope", "flags"}
    assert SLOPE.tobytes() in path.read_bytes()
    assert SLOPE.tobytes() not in checked.data
    again = embed_weights(onnx.load_model_from_string(checked.data), checked.weights)
    assert again.SerializeToString() == onnx.load(path).SerializeToString()
    assert dtool.load(path, spec=make.SAID, device="cpu").predict(X, T) == pytest.approx(X * SLOPE, abs=0)


def test_a_sampler_runs_the_same(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    dtool.export(None, tmp_path / "app.onnx", plan="ddim", steps=2, check=False)
    taken = dtool.sample(dtool.load(tmp_path / "app.onnx", device="cpu"), n=2).x0
    assert read_checked_file(tmp_path / "app.onnx").weights.size > 2_000_000  # in a loop's body, nearly all
    monkeypatch.setattr(large_weights, "LARGE_FILE", 1 << 30)
    assert read_checked_file(tmp_path / "app.onnx").weights is None
    whole = dtool.sample(dtool.load(tmp_path / "app.onnx", device="cpu"), n=2).x0
    assert taken == pytest.approx(whole, abs=1e-6)


def simple(slope=SLOPE):
    tensor = slope if isinstance(slope, TensorProto) else numpy_helper.from_array(slope, "slope")
    return make.of_nodes([helper.make_node("Mul", ["x", "slope"], ["y"])], [tensor])


def test_weights_that_are_not_finite(tmp_path):
    bad = SLOPE.copy()
    bad[0, 3, 3] = np.nan
    with pytest.raises(DtoolError, match="weights 'slope' hold NaN or infinity"):
        dtool.load(make.saved(simple(bad), tmp_path, "net.onnx"), spec=make.SAID)


@pytest.mark.parametrize(
    ("dims", "kind", "cause"),
    [
        ((1, 4, 5), make.FLOAT, r"'slope' has 64 bytes in its file; its shape \(1, 4, 5\) takes 80"),
        ((1, 4, 4), make.DOUBLE, r"'slope' has 64 bytes in its file; its shape \(1, 4, 4\) takes 128"),
    ],
)
def test_a_shape_that_its_numbers_do_not_fill(dims, kind, cause, tmp_path):
    slope = TensorProto(name="slope", data_type=kind, dims=dims, raw_data=SLOPE.tobytes())
    with pytest.raises(DtoolError, match=cause):
        dtool.load(make.saved(simple(slope), tmp_path, "net.onnx"), spec=make.SAID)


@pytest.mark.parametrize("length", [64, 32, None])
def test_a_file_that_claims_the_place_itself(length, tmp_path):
    """It has a true large weight beside the one that claims to lie where that one does, as long or not."""
    claimed = TensorProto(name="slope", data_type=make.FLOAT, dims=(1, 4, 4), data_location=TensorProto.EXTERNAL)
    offset = 0 if length else 8
    for key, value in {"location": large_weights.LOCATION, "offset": offset, "length": length or 64}.items():
        claimed.external_data.add(key=key, value=str(value))
    proto = simple(claimed)
    proto.graph.initializer.append(numpy_helper.from_array(2 * SLOPE, "other"))
    path = make.saved(proto, tmp_path, "net.onnx")
    if length == 64:  # it can have nothing but what its own file holds
        assert dtool.load(path, spec=make.SAID, device="cpu").predict(X, T) == pytest.approx(2 * X * SLOPE, abs=0)
    else:
        with pytest.raises(DtoolError, match=r"'slope' (has 32 bytes|is kept in ' weights', and weights are read)"):
            dtool.load(path, spec=make.SAID)


def test_a_file_that_is_cut_off(tmp_path):
    whole = nested().SerializeToString()
    path = tmp_path / "net.onnx"
    for length in range(0, whole.index(b"batch"), 7):  # which is near the end of the graph
        path.write_bytes(whole[:length])
        with pytest.raises(DtoolError):
            dtool.load(path, spec=make.SAID)


def test_graphs_that_nest_without_measure(tmp_path):
    graph = helper.make_graph([], "g", [], [], [numpy_helper.from_array(SLOPE, "slope")]).SerializeToString()
    for _ in range(40):
        graph = encode_field(1, encode_field(5, encode_field(6, graph)))
    path = tmp_path / "net.onnx"
    path.write_bytes(encode_field(7, graph))
    with pytest.raises(DtoolError, match="nests more than 32 graphs"):
        dtool.load(path, spec=make.SAID)


def test_what_is_exchanged_between_the_check_and_the_session(tmp_path):
    path = make.saved(simple(), tmp_path, "net.onnx")
    checked = read_checked_file(path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DtoolError, match=r"net\.onnx ends before 'slope' does"), checked.weights.copy_beside(b""):
        pass


MEASURED = """
import dtool, onnxruntime
from dtool.util.memory import get_peak
dtool.load({small!r}, spec={said}, device="cpu")  # and with it, what is imported for that
before = get_peak()
net = dtool.load({path!r}, spec={said}, device="cpu")
print((get_peak() - before) / 2**20)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="its peak is known there alone")
def test_weights_lie_in_memory_once(tmp_path: Path):
    random = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(random.standard_normal((320, 320, 3, 3), dtype=np.float32), f"w{k}") for k in range(16)
    ]
    nodes = [helper.make_node("Conv", [f"x{k}", f"w{k}"], [f"x{k + 1}"], pads=[1, 1, 1, 1]) for k in range(16)]
    values = [("x0", make.FLOAT, ["b", 320, 8, 8]), ("t", make.FLOAT, ["b"]), ("x16", make.FLOAT, ["b", 320, 8, 8])]
    *inputs, output = (helper.make_tensor_value_info(*value) for value in values)
    path = make.saved(make.model(nodes, inputs, [output], weights), tmp_path, "big.onnx")
    small = make.saved(simple(), tmp_path, "small.onnx")
    script = MEASURED.format(path=str(path), small=str(small), said=make.SAID)
    taken, size = float(subprocess.check_output([sys.executable, "-c", script], text=True)), path.stat().st_size / 2**20
    assert taken < 1.3 * size, f"{taken:.0f} MB for {size:.0f} MB of weights"
