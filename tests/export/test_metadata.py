"""What an exported file says of itself."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

import dtool
from dtool.models.spec import NetworkSpec

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

from dtool.export.network import graph  # noqa: E402


def test_metadata_comes_back(exported):
    found = exported.session().get_modelmeta().custom_metadata_map
    document = json.loads(found["dtool"])
    assert NetworkSpec.read(json.dumps(document["spec"]), "test") == exported.spec
    assert dtool.load(exported.report.path).spec == exported.spec
    assert document["format"] == 1
    assert document["opset"] == exported.report.opset == 20
    assert document["versions"] == {"dtool": dtool.__version__, "torch": torch.__version__, "onnx": onnx.__version__}
    plain = {key: value for key, value in found.items() if key not in ("dtool", "rewritten")}
    spec = exported.spec
    assert plain == {
        "schedule": spec.schedule,
        "prediction": spec.prediction,
        "shape": "x".join(map(str, spec.shape)),
        "classes": str(spec.classes),
    }


def test_hash_of_the_weights_can_be_computed_from_the_file(exported):
    proto = onnx.load(exported.report.path)
    digest = hashlib.sha256()
    for tensor in sorted(proto.graph.initializer, key=lambda tensor: tensor.name):
        digest.update(tensor.raw_data)
    document = json.loads({p.key: p.value for p in proto.metadata_props}["dtool"])
    assert document["weights_sha256"] == exported.report.weights_sha256 == digest.hexdigest()
    stored = sum(len(tensor.raw_data) for tensor in proto.graph.initializer)
    assert stored >= 4 * sum(
        weight.numel() for name, weight in exported.module.named_parameters() if "norm" not in name
    )


def test_no_trace_of_where_it_was_made(exported):
    content = exported.report.path.read_bytes()
    for trace in (
        str(Path.cwd()),
        str(Path(dtool.__file__).parent),
        "site-packages",
        ".py",
        "stack_trace",
        "unet.UNet",
    ):
        assert trace.encode() not in content
    for message in graph.walk(onnx.load(exported.report.path)):
        assert not getattr(message, "doc_string", "")
        assert isinstance(message, onnx.ModelProto) or not list(getattr(message, "metadata_props", ()))
