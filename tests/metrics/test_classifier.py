"""Classifiers in ONNX files."""

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError
from dtool.metrics import Classifier, Reference, evaluate
from dtool.metrics.frechet import plain_distance


@pytest.fixture
def onnx_classifier(tmp_path):
    """x (B, 1, 2, 2) → flatten → 4×3 product + bias → relu → 3×2 product (+ bias) → softmax, and its weights."""
    onnx = pytest.importorskip("onnx")
    random = np.random.default_rng(0)
    weights = {"w": (4, 3), "c": (3,), "v": (3, 2), "e": (2,)}
    weights_by_name = {name: random.standard_normal(shape).astype(np.float32) for name, shape in weights.items()}
    node = onnx.helper.make_node
    nodes = [
        node("Flatten", ["x"], ["flat"]),
        node("Gemm", ["flat", "w", "c"], ["sum"]),
        node("Relu", ["sum"], ["seen"]),
        node("MatMul", ["seen", "v"], ["raw"]),
        node("Add", ["e", "raw"], ["scores"]),
        node("Softmax", ["scores"], ["p"]),
    ]
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes, "c", [value("x", 1, ["B", 1, 2, 2])], [value("p", 1, ["B", 2])],
        [onnx.numpy_helper.from_array(v, k) for k, v in weights_by_name.items()],
    )  # fmt: skip
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path / "classifier.onnx"
    path.write_bytes(model.SerializeToString())
    return path, weights_by_name


def test_the_last_layer_of_an_onnx_file(onnx_classifier):
    pytest.importorskip("onnxruntime")
    path, made = onnx_classifier
    images = np.random.default_rng(1).uniform(-1, 1, (1200, 1, 2, 2)).astype(np.float32)
    classify = Classifier(path, expects=(0.0, 1.0), device="cpu")
    seen = np.maximum((images.reshape(-1, 4) + 1) / 2 @ made["w"] + made["c"], 0)
    assert classify.features(images) == pytest.approx(seen, abs=1e-5)
    scores = seen @ made["v"] + made["e"]
    assert (classify(images).argmax(axis=1) == scores.argmax(axis=1)).all()
    reference = Reference(images, scores.argmax(axis=1), classifier=classify)
    assert evaluate("agreement", images[:50], reference, labels=scores.argmax(axis=1)[:50]).value == 1
    figure = evaluate("fd-features:extrapolate=false", images[:600] * 0.5, reference, resamples=10, splits=10)
    assert figure.value == pytest.approx(
        plain_distance(classify.features(images[:600] * 0.5).astype(float), seen), rel=1e-3
    )
    with pytest.raises(DtoolError, match="cannot classify images"):
        classify(np.zeros((3, 7)))
    with pytest.raises(DtoolError, match="there is no file"):
        Classifier(path.parent / "none.onnx")


def classifier(path, nodes, outputs=("y",), kind=1):
    """An ONNX file of `nodes` over images (N, 4) and a matrix `w`."""
    onnx = pytest.importorskip("onnx")
    make = onnx.helper
    graph = make.make_graph(
        [make.make_node(*node) for node in nodes],
        "g",
        [make.make_tensor_value_info("x", 1, ["N", 4])],
        [make.make_tensor_value_info(name, kind, None) for name in outputs],
        [onnx.numpy_helper.from_array(np.ones((4, 3), np.float32), "w")],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize(
    ("nodes", "outputs"),
    [
        ([("MatMul", ["x", "w"], ["y"])], ()),
        ([("MatMul", [], ["y"])], ("y",)),
        ([("Gemm", [""], ["y"])], ("y",)),
        ([("Relu", ["x"], ["y"])], ("y",)),
    ],
)
def test_a_classifier_without_a_last_layer(nodes, outputs, tmp_path):
    pytest.importorskip("onnxruntime")
    with pytest.raises(DtoolError, match="ends with no matrix product"):
        dtool.metrics.Classifier(classifier(tmp_path / "c.onnx", nodes, outputs), device="cpu")


def test_a_classifier_is_stopped_like_any_other_network(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    path = classifier(tmp_path / "c.onnx", [("MatMul", ["x", "w"], ["y"])])
    found = dtool.metrics.Classifier(path, device="cpu")
    assert found(np.ones((2, 4))).tolist() == [[4, 4, 4]] * 2
    monkeypatch.setattr("dtool.metrics.classifier.CALL_SECONDS", 0.0)
    with pytest.raises(DtoolError, match="ran for more than 0 seconds"):
        found(np.ones((2, 4)))
