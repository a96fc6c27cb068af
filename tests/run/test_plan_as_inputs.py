"""A plan as the inputs of a sampler's file, for programs in any language."""

import json

import numpy as np
import pytest

import dtool
from tests.support.commandline import failed, ran

pytest.importorskip("onnxruntime")
import onnxruntime as ort

from tests.support.sampler_files import SHAPE, exported


@pytest.mark.filterwarnings("ignore::dtool.plan.ClampWarning")
def test_a_plan_as_json_for_any_language(tmp_path, monkeypatch, capsys):
    """`dtool plan --for` prints what another program gives the file."""
    monkeypatch.chdir(tmp_path)
    path, host = exported(tmp_path, recipe="dpmpp-2m", inputs=("seed", "plan"), classes=0)
    session = ort.InferenceSession(path)
    feed = {"ids": np.array([0, 5], np.uint64), "seed": np.array(7, np.uint64)}
    for words, plan in (
        (("ddim@cosine/karras", "--steps", 6), dtool.plan("ddim@cosine/karras", steps=6, network=host)),
        (("app.onnx",), dtool.load(path).plan),
    ):
        done = ran(capsys, "plan", *words, "--for", "app.onnx")
        assert done.code == 0, done.err
        told = json.loads(done.out)
        assert [*told] == ["table", "times", "init"]
        given = {name: np.array(v["data"], v["type"]).reshape(v["dims"]) for name, v in told.items()}
        [images] = session.run(["images"], feed | given)
        expected = dtool.sample(host, plan, ids=[0, 5], seed=7).x0
        assert np.abs(images - expected).max() < 1e-5 * max(1, np.abs(expected).max())
    failed(ran(capsys, "plan", "dpmpp-3m", "--for", "app.onnx"), 2, "remembers 2 older", "--history 2")
    failed(ran(capsys, "plan", "dpmpp-sde", "--for", "app.onnx"), 2, "dpmpp-sde keeps an x", "--history 1")
    failed(ran(capsys, "plan", "ddim", "--for", "net.onnx"), 1, "net.onnx holds no plan", "--recipe")
    exported(tmp_path, inputs=("seed",))
    failed(ran(capsys, "plan", "ddim", "--for", "app.onnx"), 2, "app.onnx takes no plan", "--inputs seed,plan")
    exported(tmp_path)
    assert "steps" in json.loads(ran(capsys, "plan", "ddim", "--steps", 3, "--for", "app.onnx").out)


@pytest.mark.filterwarnings("ignore::dtool.plan.ClampWarning")
@pytest.mark.parametrize("inputs", [("image", "strength"), ("seed", "plan", "image", "strength")])
def test_a_plan_for_a_file_that_may_begin_at_an_image(inputs, tmp_path, monkeypatch, capsys):
    """Its table has the rows of every strength, and `steps`, where there is one, counts them all."""
    monkeypatch.chdir(tmp_path)
    path, host = exported(tmp_path, recipe="dpmpp-2m", inputs=inputs, classes=0)
    session = ort.InferenceSession(path)
    done = ran(capsys, "plan", "dpmpp-2m/karras", "--steps", 6, "--for", "app.onnx")
    assert done.code == 0, done.err
    given = {name: np.array(v["data"], v["type"]).reshape(v["dims"]) for name, v in json.loads(done.out).items()}
    assert ("steps" in given) == ("plan" not in inputs)
    image = np.random.default_rng(0).uniform(-1, 1, (2, *SHAPE)).astype(np.float32)
    feed = {"ids": np.array([0, 1], np.uint64), "image": image} | ({"seed": np.uint64(0)} if "plan" in inputs else {})
    for strength in (0.34, 0.7, 1.0):
        told = {name: np.asarray(v) for name, v in (feed | {"strength": np.float32(strength)}).items()}
        [images] = session.run(["images"], told | given)
        expected = dtool.sample(host, "dpmpp-2m/karras", steps=6, image=image, strength=strength).x0
        assert np.abs(images - expected).max() < 1e-5 * max(1, np.abs(expected).max())
