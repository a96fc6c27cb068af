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
from tests.support.commandline import failed, ran

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
import warnings  # noqa: E402
from functools import cache  # noqa: E402
from importlib.resources import files  # noqa: E402

from numpy.typing import NDArray  # noqa: E402

from dtool.measure.pooled_pixels import distance  # noqa: E402
from dtool.models.network import Network  # noqa: E402
from dtool.plugins.registry import get_registry  # noqa: E402

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


def test_external_data_are_read_from_the_same_folder(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    big = model(weights=np.ones((1, *SPEC.shape), np.float32))  # its shapes stay: ONNX Runtime reads them nowhere else
    onnx.save(big, path, save_as_external_data=True, size_threshold=80, location="weights.bin")
    dtool.load(path)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(DtoolError, match=r"keeps weights in weights\.bin, which is not beside it"):
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
    with pytest.raises(DtoolError, match="has the inputs x; expected x, t"):
        dtool.load(saved(inputs=("x",)))


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
    with pytest.raises(DtoolError, match=r"there is no file or folder .*nothing"):
        dtool.load(tmp_path / "nothing")
    (tmp_path / "picture.png").write_bytes(b"")
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
        "print(sorted({'torch', 'typer', 'rich'} & set(sys.modules)))"
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


def test_what_a_factory_chose_is_not_silently_another(capsys, folder):
    (folder / "own_net.py").write_text(
        "import dtool\ndef make():\n    return dtool.network(lambda x, t: x, shape=(2,))\n"
    )
    (folder / "failing_net.py").write_text(
        "import dtool\ndef fn(x, t):\n    assert False, 'no'\ndef make():\n    return dtool.network(fn, shape=(2,))\n"
    )
    for flags, hint in (
        (("--device", "cuda"), "leave out --device"), (("--backend", "torch"), "leave out --backend"),
        (("--time-limit", "3"), "leave out --time-limit"), (("--provider", "CPU"), "export it first"),
    ):  # fmt: skip
        failed(ran(capsys, "sample", "own_net:make", *flags), 2, "own_net:make runs on", hint)
    failed(ran(capsys, "sample", "failing_net:make"), 1, "own code failed (AssertionError: no)", "x is (B, *shape)")


SCHEDULES = [e.name for e in get_registry().schedulers if e.provider.name == "dtool" and e.name != "betas"]


@cache
def network() -> Network:
    return dtool.default_network()


def told(schedule: str) -> Network:
    """The same weights, said to have been trained under another schedule: it is then fed that schedule's index."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spec = network().spec.model_copy(update={"schedule": schedule})
        return dtool.load(str(files("dtool.models") / "digits.onnx"), spec=spec)


def quality(net: Network, recipe: str) -> float:
    """Fréchet distance on pooled pixels between 40 samples and the training images."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        images: NDArray[np.float32] = dtool.sample(net, recipe, n=40, steps=12).x0
    assert net.spec.statistics is not None
    return distance(images, net.spec.statistics)


@cache
def native() -> float:
    return quality(network(), f"ddim@{network().spec.schedule}")


def test_it_is_small_and_says_what_it_is() -> None:
    assert (files("dtool.models") / "digits.onnx").stat().st_size <= 4_000_000  # type: ignore[attr-defined]
    spec = network().spec
    assert (spec.shape, spec.classes, spec.clip) == ((1, 28, 28), 10, True)
    assert spec.class_names == tuple("0123456789")


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_any_schedule_gives_digits(schedule: str) -> None:
    assert quality(network(), f"ddim@{schedule}") < 1.4 * native()


@pytest.mark.parametrize("schedule", ["cosine", "sigmoid", "sigmoid-beta"])
def test_feeding_the_index_instead_would_not(schedule: str) -> None:
    assert quality(told(schedule), f"ddim@{schedule}") > 2.5 * native()


def test_the_class_is_the_one_asked_for() -> None:
    """Samples of a class are nearer to each other than to other classes' (mean images, no classifier)."""
    images = dtool.sample(network(), "ddim", n=60, steps=10).x0.reshape(60, -1)
    labels = np.arange(60) % 10
    first, second = images[:30], images[30:]
    means = np.stack([first[labels[:30] == k].mean(axis=0) for k in range(10)])
    nearest = ((second[:, None] - means[None]) ** 2).sum(axis=-1).argmin(axis=1)
    assert (nearest == labels[30:]).mean() > 0.5  # by chance: 0.1


@pytest.mark.parametrize("recipe", ["ddpm", "dpmpp-2m"])
def test_same_bits_alone_and_in_a_batch(recipe: str) -> None:
    many = dtool.sample(network(), recipe, n=20, steps=4, seed=3, guidance=2.0).x0
    alone = dtool.sample(network(), recipe, ids=[13], steps=4, seed=3, guidance=2.0).x0
    assert (alone[0] == many[13]).all()
