"""Folders of `dtool export`: what their manifests may say. What they draw: tests/export/test_pipeline_folder.py."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

import dtool
from dtool.errors import DtoolError

for _package in ("torch", "onnx", "onnxruntime", "onnxscript", "tokenizers"):
    pytest.importorskip(_package)
from tests.support.tiny_texts import make_host  # noqa: E402


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder of a model."""
    folder = tmp_path_factory.mktemp("pipeline") / "pipe"
    dtool.export(make_host(), folder, plan="ddim", steps=2, check=False)
    return SimpleNamespace(folder=folder)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"format": "dtool pipeline 2"}, "is of the format dtool pipeline 2"),
        ({"parts": {"sampler": "../sampler.onnx"}}, "no file of its folder"),
        ({"parts": {"sampler": "gone.onnx"}}, "there is no file"),
        ({"parts": 3}, "does not say what its parts are"),
    ],
    ids=["format", "outside", "gone", "garbled"],
)
def test_a_manifest_that_is_not_to_be_followed(made, tmp_path, change, cause):
    manifest = json.loads((made.folder / "manifest.json").read_text()) | change
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DtoolError, match=cause):
        dtool.load(tmp_path, device="cpu")
