"""Loading ONNX files: what runs, and every reason not to run one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError, UsageError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

SPEC = dtool.NetworkSpec(shape=(1, 4, 4), schedule="linear", clip=True)


def model(
    *,
    nodes: list[Any] | None = None,
    weights: np.ndarray[Any, Any] | None = None,
    spec: dtool.NetworkSpec | None = SPEC,
    inputs: tuple[str, ...] = ("x", "t"),
) -> Any:
    """A network y = w·x + 0·t, as an ONNX model."""
    h = onnx.helper
    w = onnx.numpy_helper.from_array(np.array([0.5], np.float32) if weights is None else weights, "w")
    t4 = onnx.numpy_helper.from_array(np.array([-1, 1, 1, 1], np.int64), "shape")
    zero = onnx.numpy_helper.from_array(np.zeros(1, np.float32), "zero")
    body = nodes or [
        h.make_node("Mul", ["x", "w"], ["wx"]),
        h.make_node("Reshape", ["t", "shape"], ["t4"]),
        h.make_node("Mul", ["t4", "zero"], ["nothing"]),
        h.make_node("Add", ["wx", "nothing"], ["y"]),
    ]
    kinds = {"x": ["b", 1, 4, 4], "t": ["b"], "extra": ["b"]}
    values = [h.make_tensor_value_info(name, onnx.TensorProto.FLOAT, kinds[name]) for name in inputs]
    out = h.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["b", 1, 4, 4])
    graph = h.make_graph(body, "g", values, [out], [w, t4, zero])
    made = h.make_model(graph, opset_imports=[h.make_opsetid("", 20), h.make_opsetid("custom", 1)], ir_version=10)
    if spec is not None:
        h.set_model_props(made, {"dtool": json.dumps({"format": 1, "spec": json.loads(spec.model_dump_json())})})
    return made


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    def save(**options: Any) -> Path:
        path = tmp_path / "net.onnx"
        path.write_bytes(model(**options).SerializeToString())
        return path

    return save


def test_a_file_says_what_it_is_and_samples(saved: Callable[..., Path]) -> None:
    net = dtool.load(saved(), device="cpu")
    assert (net.backend, net.device, net.spec) == ("onnxruntime", "cpu", SPEC)
    out = dtool.sample(net, "ddpm", n=3, steps=4)
    same = dtool.sample(dtool.network(lambda x, t: 0.5 * x, shape=(1, 4, 4), clip=True), "ddpm", n=3, steps=4)
    np.testing.assert_allclose(out.x0, same.x0, atol=1e-6)
    assert abs(out.x0).max() <= 1


def test_a_foreign_file_runs_when_its_spec_is_given(saved: Callable[..., Path]) -> None:
    path = saved(spec=None)
    with pytest.raises(DtoolError, match="has no dtool metadata"):
        dtool.load(path)
    assert dtool.load(path, spec=SPEC).shape == (1, 4, 4)


def test_random_nodes_are_refused_in_subgraphs_too(saved: Callable[..., Path]) -> None:
    h = onnx.helper
    noisy = [h.make_node("RandomNormalLike", ["x"], ["z"]), h.make_node("Add", ["x", "z"], ["y"])]
    with pytest.raises(DtoolError, match=r"random numbers of its own .RandomNormalLike"):
        dtool.load(saved(nodes=noisy))
    out = h.make_tensor_value_info("y1", onnx.TensorProto.FLOAT, None)
    branch = h.make_graph([h.make_node("RandomNormalLike", ["x"], ["y1"])], "b", [], [out])
    choice = [
        h.make_node("Constant", [], ["yes"], value=onnx.numpy_helper.from_array(np.array(True))),
        h.make_node("If", ["yes"], ["y"], then_branch=branch, else_branch=branch),
    ]
    with pytest.raises(DtoolError, match="RandomNormalLike"):
        dtool.load(saved(nodes=choice))


def test_operators_of_strangers_are_refused(saved: Callable[..., Path]) -> None:
    with pytest.raises(DtoolError, match="operators of custom"):
        dtool.load(saved(nodes=[onnx.helper.make_node("Magic", ["x", "t"], ["y"], domain="custom")]))


def test_weights_that_are_not_finite_are_refused(saved: Callable[..., Path]) -> None:
    for bad in (np.nan, np.inf):
        with pytest.raises(DtoolError, match="'w' hold NaN or infinity"):
            dtool.load(saved(weights=np.array([bad], np.float32)))


def test_external_data_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    big = model(weights=np.ones(4, np.float32))
    onnx.save(big, path, save_as_external_data=True, size_threshold=0, location="weights.bin")
    with pytest.raises(DtoolError, match="keeps weights in other files"):
        dtool.load(path)


def test_a_file_that_is_cut_off_or_is_something_else_is_refused(tmp_path: Path) -> None:
    whole = model().SerializeToString()
    path = tmp_path / "net.onnx"
    for length in range(0, len(whole) - 1, 17):
        path.write_bytes(whole[:length])
        with pytest.raises(DtoolError):
            dtool.load(path)
    rng = np.random.default_rng(0)
    for content in (b"hello, this is text", b"\x89PNG\r\n\x1a\n" + bytes(200), rng.bytes(500), b"\xff" * 40):
        path.write_bytes(content)
        with pytest.raises(DtoolError):
            dtool.load(path)


def test_unexpected_inputs_are_named(saved: Callable[..., Path]) -> None:
    with pytest.raises(DtoolError, match="has the inputs x, t, extra; expected x, t"):
        dtool.load(saved(inputs=("x", "t", "extra")))


def test_metadata_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    for text, message in [
        ("{", "cannot be read"),
        ('{"spec": {"shape": [1]}}', "schedule"),
        ('{"spec": {"shape": [1], "schedule": "linear", "surprise": 1}}', "surprise"),
    ]:
        made = model(spec=None)
        onnx.helper.set_model_props(made, {"dtool": text})
        path.write_bytes(made.SerializeToString())
        with pytest.raises(DtoolError, match=message):
            dtool.load(path)


def test_a_device_that_is_not_there_is_an_error_not_a_fallback(saved: Callable[..., Path]) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    with pytest.raises(DtoolError, match="cuda is not there") as caught:
        dtool.load(saved(), device="cuda")
    assert "dtool-diffusion[gpu]" in caught.value.hint
    with pytest.raises(DtoolError, match="no device 'tpu'"):
        dtool.load(saved(), device="tpu")


def test_a_torch_device_that_is_not_there_is_an_error() -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this PyTorch has CUDA")
    with pytest.raises(DtoolError, match="cuda is not there"):
        dtool.load(torch.nn.Identity(), spec=SPEC, device="cuda")
    with pytest.raises(DtoolError, match="no device 'tpu'"):
        dtool.load(torch.nn.Identity(), spec=SPEC, device="tpu")


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DtoolError, match="there is no file"):
        dtool.load(tmp_path / "nothing.onnx")
    with pytest.raises(UsageError, match="neither a checkpoint nor an ONNX file"):
        dtool.load(tmp_path / "picture.png")
    with pytest.raises(UsageError, match="does not say what it predicts"):
        dtool.load(object())
    (tmp_path / "net.onnx").write_bytes(model().SerializeToString())
    with pytest.raises(UsageError, match="runs on onnxruntime, not on torch"):
        dtool.load(tmp_path / "net.onnx", backend="torch")


def test_sampling_an_onnx_file_never_imports_torch(saved: Callable[..., Path]) -> None:
    code = (
        "import sys, dtool; dtool.sample(dtool.load(sys.argv[1]), 'ddpm', n=2, steps=3);"
        "print(sorted({'torch', 'onnx', 'typer', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(saved())], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_factory_is_called_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_of_test_load.py").write_text(
        "import dtool\n"
        "def make():\n    return dtool.network(lambda x, t: 0.5 * x, shape=(2,))\n"
        "def wrong():\n    return 3\n"
        "def broken():\n    raise RuntimeError('no weights')\n"
    )
    monkeypatch.chdir(tmp_path)
    assert dtool.sample(dtool.load("mine_of_test_load:make"), "ddim", n=2, steps=3).x0.shape == (2, 2)
    for name, message in [
        ("wrong", "returned a int"),
        ("broken", "RuntimeError: no weights"),
        ("gone", "AttributeError"),
    ]:
        with pytest.raises(DtoolError, match=message):
            dtool.load(f"mine_of_test_load:{name}")
