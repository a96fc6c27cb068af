"""Networks that are told named conditions are exported with them, and give in the file what PyTorch gives."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from dtool.models.conditions import Condition

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
from tests.support.attending_networks import (  # noqa: E402
    EDGES,
    MASK,
    SHAPE,
    SIZE,
    TEXT,
    make_attending,
    make_conditions,
)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """A network with conditions of every type and rank, on PyTorch and in its file."""
    module, spec = make_attending(TEXT, MASK, EDGES, SIZE, classes=3, guidance=2.5)
    path = tmp_path_factory.mktemp("told") / "net.onnx"
    report = dtool.export((module, spec), path, steps=3)
    return SimpleNamespace(spec=spec, report=report, host=dtool.load(module, spec=spec, device="cpu"), path=path)


def test_the_file_says_what_it_takes(told):
    inputs = {value.name: value.type.tensor_type for value in onnx.load(told.path).graph.input}
    assert list(inputs) == ["x", "t", "label", "text", "mask", "edges", "size"]
    dims = {name: [d.dim_param or d.dim_value for d in kind.shape.dim] for name, kind in inputs.items()}
    assert dims["text"] == ["batch", "text_length", 8]
    assert dims["mask"][0] == "batch"
    assert dims["edges"] == ["batch", 1, 4, 6]
    assert dims["size"] == ["batch"]
    assert dtool.load(told.path).spec == told.spec
    assert told.report.largest < 1e-5


@pytest.mark.parametrize(("count", "length"), [(1, 3), (4, 1), (7, 20)])
def test_agrees_with_pytorch_at_lengths_not_seen_at_export(told, count, length):
    file = dtool.load(told.path, device="cpu")
    random = np.random.default_rng(count)
    x = random.standard_normal((count, *SHAPE), dtype=np.float32)
    t = random.uniform(0, 999, count).astype(np.float32)
    conditions = make_conditions(count, length) | {"label": np.arange(count) % 4}
    one, other = (
        net.numpy(net.predict(net.array(x), net.array(t), net.arrays(conditions))) for net in (told.host, file)
    )
    assert np.abs(one - other).max() < 1e-5


@pytest.mark.parametrize("guidance", [1, 5])
def test_whole_runs_agree_with_guidance(told, guidance):
    file = dtool.load(told.path, device="cpu")
    told_options = {"conditions": make_conditions(3, 6), "guidance": guidance, "n": 3, "steps": 5, "clip": True}
    if guidance != 1:
        told_options["without"] = make_conditions(3, 4, seed=1)  # another length: two calls
    one, other = (dtool.sample(net, "dpmpp-2m/karras", **told_options).x0 for net in (told.host, file))
    assert np.abs(one - other).max() < 1e-4 * np.abs(one).max()


def test_half_precision_of_a_network_with_conditions(tmp_path):
    module, spec = make_attending(TEXT, clip=True)
    report = dtool.export((module, spec), tmp_path / "net.onnx", steps=2, half=True, allow_loss=True)
    assert report.loss.relative < 0.03
    kinds = {value.name: value.type.tensor_type.elem_type for value in onnx.load(report.path).graph.input}
    assert kinds == dict.fromkeys(("x", "t", "text"), onnx.TensorProto.FLOAT)


def test_int8_is_refused_with_conditions(tmp_path):
    with pytest.raises(UsageError, match="text is not known here") as error:
        dtool.export(make_attending(TEXT), tmp_path / "net.onnx", steps=2, int8=True, check=False)
    assert "half" in error.value.hint


def test_edm_and_a_time_of_its_own(tmp_path):
    fixed = Condition(name="text", shape=(5, 8))
    module, spec = make_attending(fixed)
    spec = spec.model_validate(
        spec.model_dump()
        | {"schedule": "edm", "levels": None, "prediction": "edm:sigma_data=0.5", "time": "log-sigma/4"}
    )
    report = dtool.export((module, spec), tmp_path / "net.onnx", steps=3)
    assert report.largest < 1e-5
    assert dtool.load(report.path).spec == spec
