"""A conditional network, folders of images and a classifier whose classes have names."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import dtool
from dtool.models.network import Network

TWELVE = tuple(sorted(str(i) for i in range(12)))  # as folders are sorted: 0, 1, 10, 11, 2 …


def network(names: tuple[str, ...] = (), **more: Any) -> Network:
    net = dtool.network(
        lambda x, t, label: 0.1 * x + label.reshape(-1, 1, 1, 1), shape=(1, 8, 8), classes=len(names) or 12, **more
    )
    net.spec = net.spec.model_copy(update={"class_names": names})
    return net


def folder(path: Path, names: tuple[str, ...]) -> Path:
    for value, name in enumerate(names):
        (path / name).mkdir(parents=True)
        for k in range(2):
            Image.fromarray(np.full((8, 8), 20 * value + k, np.uint8)).save(path / name / f"{k}.png")
    return path


def classifier(path: Path, names: list[str] | None = None, classes: int = 10) -> Path:
    """Sees class k where the image's mean is 20k: scores -(k - mean/20)², up to what is equal for all k."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import helper, numpy_helper

    k = np.arange(classes, dtype=np.float32)
    weights = np.tile(2 * k / 64, (64, 1)).astype(np.float32)
    nodes = [
        helper.make_node("Reshape", ["image", "flat"], ["pixels"]),
        helper.make_node("Mul", ["pixels", "to_k"], ["scaled"]),
        helper.make_node("Add", ["scaled", "shift"], ["moved"]),
        helper.make_node("MatMul", ["moved", "weights"], ["product"]),
        helper.make_node("Sub", ["product", "squares"], ["scores"]),
    ]
    made = {
        "flat": np.array([-1, 64]), "to_k": np.float32([127.5 / 20]), "shift": np.float32([127.5 / 20]),
        "weights": weights, "squares": k**2,
    }  # fmt: skip
    graph = helper.make_graph(
        nodes, "classifier",
        [helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, ["b", 1, 8, 8])],
        [helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, ["b", classes])],
        [numpy_helper.from_array(value, name) for name, value in made.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    if names is not None:
        helper.set_model_props(model, {"class_names": json.dumps(names)})
    path.write_bytes(model.SerializeToString())
    return path
