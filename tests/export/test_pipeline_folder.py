"""A whole pipeline as a folder: prompts in, pictures out, what the model on PyTorch draws."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
pytest.importorskip("tokenizers")
from dtool.export import size_limit  # noqa: E402
from tests.support.commandline import ran  # noqa: E402
from tests.support.tiny_texts import LENGTH, make_host  # noqa: E402

PLAN, STEPS = "dpmpp-2m/karras", 4
PROMPTS = ["a small red house", "the blue sea"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A model on PyTorch, and the folder that was made of it."""
    host, folder = make_host(), tmp_path_factory.mktemp("pipeline") / "pipe"
    report = dtool.export(host, folder, plan=PLAN, steps=STEPS)
    return SimpleNamespace(host=host, folder=folder, report=report)


def test_the_manifest_names_its_parts(made):
    manifest = json.loads((made.folder / "manifest.json").read_text())
    assert sorted(path.name for path in made.folder.iterdir()) == [
        "manifest.json", "sampler.onnx", "text.onnx", "tokenizer.json",
    ]  # fmt: skip
    assert manifest == {
        "format": "dtool pipeline 1",
        "text": {
            "file": "text.onnx",
            "outputs": ["text"],
            "tokenizers": [{"file": "tokenizer.json", "input": "input_ids", "length": LENGTH}],
        },
        "parts": {"sampler": "sampler.onnx"},
        "recipe": PLAN,
        "steps": STEPS,
    }
    assert made.report.path == made.folder


@pytest.mark.parametrize("guidance", [1, 5])
def test_it_draws_from_prompts_what_the_model_draws(made, guidance):
    net = dtool.load(made.folder, device="cpu")
    options = {"prompt": PROMPTS, "guidance": guidance, "seed": 4}
    if guidance != 1:
        options["negative"] = "blue house"
    pictures = net.to_pictures(dtool.sample(net, **options).x0)
    expected = made.host.to_pictures(dtool.sample(made.host, PLAN, steps=STEPS, **options).x0)
    assert pictures.shape == (2, *made.host.codec.picture_shape)
    assert np.abs(pictures - expected).max() < 1e-4
    assert np.abs(pictures[0] - pictures[1]).max() > 1e-3


def test_the_command_takes_prompts(made, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    done = ran(
        capsys, "sample", str(made.folder), "--prompt", PROMPTS[0], "-n", "2", "--npz", "out.npz", "--device", "cpu"
    )
    assert done.code == 0, done.err
    expected = made.host.to_pictures(dtool.sample(made.host, PLAN, steps=STEPS, prompt=PROMPTS[0], n=2).x0)
    assert np.abs(np.load("out.npz")["x0"] - expected).max() < 1e-4


def test_what_is_larger_than_a_file_is_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(size_limit, "MAX_BYTES", 2200)
    host = make_host()
    dtool.export(host, tmp_path / "pipe", plan=PLAN, steps=STEPS, check=False)
    net = dtool.load(tmp_path / "pipe", device="cpu")
    assert {"network.onnx", "decoder.onnx"} <= {path.name for path in (tmp_path / "pipe").iterdir()}
    assert (net.origin.recipe, net.origin.steps) == (PLAN, STEPS)
    options = {"prompt": PROMPTS, "seed": 4}
    one, other = (each.to_pictures(dtool.sample(each, PLAN, steps=STEPS, **options).x0) for each in (net, host))
    assert np.abs(one - other).max() < 1e-4


def test_what_cannot_be_a_folder(made, tmp_path):
    with pytest.raises(UsageError, match="not empty"):
        dtool.export(made.host, made.folder, plan=PLAN, steps=STEPS)
    plain = dtool.load(made.host.module, spec=made.host.spec, device="cpu")
    with pytest.raises(UsageError, match="no text encoder") as error:
        dtool.export(plain, tmp_path / "pipe", plan=PLAN, steps=STEPS)
    assert ".onnx" in error.value.hint
    assert not list(tmp_path.iterdir())
