"""A plan as the inputs of a sampler's file, for programs in any language."""

import json

import numpy as np
import pytest

import dtool
from tests.support.commandline import failed, ran

pytest.importorskip("onnxruntime")
import onnxruntime as ort

from tests.support.sampler_files import exported


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
