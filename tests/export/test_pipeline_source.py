"""A pipeline's folder, exported again as one file, with other inputs and another plan."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError, UsageError

for _package in ("torch", "onnx", "onnxruntime", "onnxscript", "tokenizers"):
    pytest.importorskip(_package)
import onnxruntime as ort  # noqa: E402

from dtool.export import size_limit  # noqa: E402
from tests.support.tiny_texts import make_host  # noqa: E402

PLAN, STEPS = "dpmpp-2m/karras", 4
PROMPT = "a small red house"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A model on PyTorch, and its folder."""
    host, folder = make_host(), tmp_path_factory.mktemp("pipeline") / "pipe"
    dtool.export(host, folder, plan=PLAN, steps=STEPS, check=False)
    return SimpleNamespace(host=host, folder=folder)


def expect(made, plan, steps, **options):
    return made.host.to_pictures(dtool.sample(made.host, plan, steps=steps, prompt=PROMPT, n=2, **options).x0)


def test_one_file_with_the_inputs_that_are_asked_for(made, tmp_path):
    path = tmp_path / "web.onnx"
    report = dtool.export(made.folder, path, plan="ddim", steps=3, text=True, inputs=("seed", "without"))
    assert report.largest < 1e-4
    names = {value.name for value in ort.InferenceSession(path).get_inputs()}
    assert names == {"ids", "seed", "input_ids", "input_ids_without"}
    pictures = dtool.sample(dtool.load(path, device="cpu"), prompt=PROMPT, negative="sea", n=2, seed=5).x0
    assert np.abs(pictures - expect(made, "ddim", 3, negative="sea", seed=5)).max() < 1e-4


def test_another_folder(made, tmp_path):
    dtool.export(made.folder, tmp_path / "other", plan="ddim", steps=3)
    network = dtool.load(tmp_path / "other", device="cpu")
    pictures = network.to_pictures(dtool.sample(network, prompt=PROMPT, n=2).x0)
    assert np.abs(pictures - expect(made, "ddim", 3)).max() < 1e-4


def test_what_is_too_large_for_one_file(tmp_path, monkeypatch):
    monkeypatch.setattr(size_limit, "MAX_BYTES", 2200)
    dtool.export(make_host(), tmp_path / "pipe", plan=PLAN, steps=STEPS, check=False)
    with pytest.raises(UsageError, match="as two files, for they are too large for one"):
        dtool.export(tmp_path / "pipe", tmp_path / "app.onnx", plan=PLAN, steps=STEPS, text=True)
    assert not (tmp_path / "app.onnx").exists()


def test_a_folder_that_is_damaged(made, tmp_path):
    folder = tmp_path / "pipe"
    folder.mkdir()
    (folder / "manifest.json").write_text((made.folder / "manifest.json").read_text())
    with pytest.raises(DtoolError, match="there is no file"):
        dtool.export(folder, tmp_path / "app.onnx", plan=PLAN, steps=STEPS, text=True)
