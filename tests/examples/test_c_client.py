"""examples/c, built as a stranger would build it, draws from an exported sampler what dtool itself draws."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import dtool
from tests.support.commandline import typed
from tests.support.places import EXAMPLES

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

EXAMPLE = EXAMPLES / "c"
RECIPE, STEPS = "dpmpp-2m/karras", 6
# What build.py says where something that it needs is not there; whatever else it says is a failure.
MISSING = (
    "apt-get failed",
    f"{sys.executable} failed",
    "is not installed",
    "knows no Debian mirror",
    "nothing to fetch",
)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dsample, built; skips if there is no compiler, or a registry cannot be reached."""
    if shutil.which(os.environ.get("CXX", "c++")) is None:
        pytest.skip("there is no C++ compiler")
    folder = tmp_path_factory.mktemp("c")
    done = subprocess.run(
        [sys.executable, str(EXAMPLE / "build.py"), "--into", str(folder)], capture_output=True, text=True, timeout=600
    )
    last = done.stderr.strip().splitlines()[-1:]
    if done.returncode and any(why in line for line in last for why in MISSING):
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    assert "warning:" not in done.stderr  # of the compiler's
    return folder / "dsample"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package's network and a plan in one file."""
    path = tmp_path_factory.mktemp("file") / "app.onnx"
    done = typed("export", "--recipe", RECIPE, "--steps", STEPS, "-o", path)
    assert done.code == 0, done.err
    return path


def ran(program: Path, *arguments: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([str(program), *map(str, arguments)], capture_output=True, timeout=120)


def drawn(program: Path, folder: Path, *arguments: object) -> NDArray[np.int64]:
    """The picture that it writes, read by another program: (height, width) or (height, width, 3)."""
    done = ran(program, *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    (folder / "drawn.pnm").write_bytes(done.stdout)
    return np.asarray(Image.open(folder / "drawn.pnm")).astype(np.int64)


def refused(program: Path, *arguments: object) -> str:
    """The one line of cause with which it ends; it wrote no picture."""
    done = ran(program, *arguments)
    assert (done.returncode, done.stdout) == (1, b"")
    cause = done.stderr.decode()
    assert cause.startswith("dsample: ")
    assert cause.count("\n") == 1
    assert cause.endswith("\n")
    return cause


def handmade(path: Path, shape: tuple[int, ...], **metadata: str) -> NDArray[np.float32]:
    """A file with an exported sampler's inputs whose image i is a ramp + i / 10 + seed / 100; returns the ramp."""
    helper, given = onnx.helper, onnx.numpy_helper.from_array
    ramp = np.linspace(-0.2, 1.1, int(np.prod(shape)), dtype=np.float32).reshape(1, *shape)
    data: dict[str, Any] = {"ramp": ramp, "tenth": np.float32(0.1), "hundredth": np.float32(0.01), "seed": np.uint64(0)}
    data["column"] = np.array([-1] + [1] * len(shape))
    nodes = [
        helper.make_node("Cast", ["ids"], ["i"], to=1),
        helper.make_node("Cast", ["seed"], ["s"], to=1),
        helper.make_node("Reshape", ["i", "column"], ["by_image"]),
        helper.make_node("Mul", ["by_image", "tenth"], ["more"]),
        helper.make_node("Mul", ["s", "hundredth"], ["for_all"]),
        helper.make_node("Sum", ["ramp", "more", "for_all"], ["images"]),
    ]
    kinds = onnx.TensorProto
    inputs = [("ids", kinds.UINT64, ["batch"]), ("seed", kinds.UINT64, [])]
    outputs = [("images", kinds.FLOAT, ["batch", *shape])]
    values = [[helper.make_tensor_value_info(*port) for port in ports] for ports in (inputs, outputs)]
    graph = helper.make_graph(nodes, "ramps", *values, [given(np.asarray(v), k) for k, v in data.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    helper.set_model_props(model, {"classes": "0", **metadata})
    onnx.save(model, path)
    return ramp[0]


def unpacked(picture: NDArray[np.int64], count: int, height: int, width: int) -> NDArray[np.int64]:
    """The images of a picture that is as near to a square of them as can be; what is left over must be black."""
    columns = int(np.ceil(np.sqrt(count)))
    assert picture.shape[:2] == (-(-count // columns) * height, columns * width)
    tiles = picture.reshape(-1, height, columns, width, *picture.shape[2:]).swapaxes(1, 2)
    tiles = tiles.reshape(-1, height, width, *picture.shape[2:])
    assert not tiles[count:].any()
    return tiles[:count]


@pytest.mark.parametrize(("seed", "count", "label"), [(0, 1, None), (7, 5, 3), (2**64 - 1, 9, 0), (2**40 + 1, 3, -1)])
def test_it_draws_what_python_draws(program, exported, tmp_path, seed, count, label):
    arguments = (seed, count) if label is None else (seed, count, label)
    picture = drawn(program, tmp_path, exported, *arguments)
    labels = -1 if label is None else label
    wanted = dtool.sample(dtool.default_network(), RECIPE, steps=STEPS, seed=seed, n=count, labels=labels).x0[:, 0]
    tiles = unpacked(picture, count, 28, 28)
    assert wanted.std() > 0.3  # pictures, and not grey
    assert np.abs(tiles - np.clip((wanted + 1) * 127.5, 0, 255)).max() < 1.5  # rounding, and one grey level


def test_three_channels_that_are_not_square_of_another_range(program, tmp_path):
    spec = {"spec": {"data_range": [0.0, 1.0]}}
    ramp = handmade(tmp_path / "colour.onnx", (3, 2, 5), dtool=json.dumps(spec))
    tiles = unpacked(drawn(program, tmp_path, tmp_path / "colour.onnx", 3, 6), 6, 2, 5)
    wanted = ramp + np.arange(6).reshape(-1, 1, 1, 1) / 10 + 0.03
    assert np.abs(tiles.transpose(0, 3, 1, 2) - np.clip(wanted * 255, 0, 255)).max() < 1


def test_an_image_without_channels(program, tmp_path):
    ramp = handmade(tmp_path / "grey.onnx", (4, 3))
    tiles = unpacked(drawn(program, tmp_path, tmp_path / "grey.onnx", 0, 2), 2, 4, 3)
    wanted = ramp + np.arange(2).reshape(-1, 1, 1) / 10
    assert np.abs(tiles - np.clip((wanted + 1) * 127.5, 0, 255)).max() < 1


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        ((), "usage: dsample app.onnx SEED COUNT"),
        (("app.onnx", "-1", 3), "-1: SEED is a whole number from 0 to 2^64-1"),
        (("app.onnx", 2**64, 3), "SEED is a whole number"),
        (("app.onnx", "", 3), "SEED is a whole number"),
        (("app.onnx", 1, "4x"), "4x: COUNT is a whole number from 1 to 65536"),
        (("app.onnx", 1, 0), "COUNT is a whole number"),
        (("app.onnx", 1, 10**30), "COUNT is a whole number"),
        (("app.onnx", 1, 3, -2), "CLASS is a whole number, -1 for none"),
        (("app.onnx", 1, 3), "app.onnx"),  # no such file
        ((EXAMPLE / "README.md", 1, 3), "README.md"),
        ((EXAMPLE.parent.parent / "dtool" / "models" / "digits.onnx", 1, 3), "no sampler in this file"),
    ],
)
def test_what_it_refuses(program, arguments, cause):
    assert cause in refused(program, *arguments)


def test_a_class_that_is_not_there(program, exported):
    assert "10: no such class, there are 10" in refused(program, exported, 0, 1, 10)


def test_classes_of_a_network_that_has_none_and_samples_that_are_no_pictures(program, tmp_path):
    handmade(tmp_path / "line.onnx", (7,))
    assert "0: no such class, there are 0" in refused(program, tmp_path / "line.onnx", 0, 1, 0)
    assert "a picture has 1 or 3 channels" in refused(program, tmp_path / "line.onnx", 0, 1)
    handmade(tmp_path / "two.onnx", (2, 3, 3))
    assert "a picture has 1 or 3 channels" in refused(program, tmp_path / "two.onnx", 0, 1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_said(program, tmp_path):
    handmade(tmp_path / "grey.onnx", (1, 4, 3))
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([str(program), str(tmp_path / "grey.onnx"), "0", "1"], stdout=full, stderr=-1, timeout=60)
    assert (done.returncode, done.stderr) == (1, b"dsample: the picture can't be written\n")


def built() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_dsample", EXAMPLE / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_package_that_was_changed_is_not_used(tmp_path):
    (tmp_path / "package").write_bytes(b"what was pinned")
    pinned = hashlib.sha256(b"what was pinned").hexdigest()
    assert built().checked(tmp_path / "package", pinned) == tmp_path / "package"
    (tmp_path / "package").write_bytes(b"something else")
    with pytest.raises(SystemExit, match="it is not the file that was pinned"):
        built().checked(tmp_path / "package", pinned)


def test_a_folder_that_is_not_onnx_runtime(tmp_path):
    command = [sys.executable, str(EXAMPLE / "build.py"), "--into", str(tmp_path), "--onnxruntime", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == f"build.py: {tmp_path} has no folder include/: name one that has include/ and lib/\n"
