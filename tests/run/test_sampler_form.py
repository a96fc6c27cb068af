"""What a sampler's file says of itself: its plan, and which others it has room for."""

import json
from pathlib import Path

import pytest

import dtool
from dtool.errors import UsageError
from tests.support.commandline import ran
from tests.support.schedules import betas

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")
from tests.support.sampler_files import exported  # noqa: E402


def sampler(path: Path, recipe: str) -> Path:
    """A sampler's file that says it holds this recipe."""
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    dtool.export(None, path, plan="ddim", steps=2, check=False)
    model = onnx.load(path)
    [own] = [entry for entry in model.metadata_props if entry.key == "dtool"]
    said = json.loads(own.value)
    said["plan"]["recipe"] = recipe
    own.value = json.dumps(said)
    onnx.save(model, path)
    return path


def test_a_sampler_file_that_names_another_file(tmp_path, capsys):
    path = sampler(tmp_path / "a.onnx", f'ddim@betas:path="{betas(tmp_path)}"')
    assert ran(capsys, "sample", path, "-n", "1", "-o", tmp_path / "a.png").code == 0  # its own plan runs as it is
    result = ran(capsys, "sample", path, "-n", "1", "--steps", "3", "-o", tmp_path / "a.png")
    assert result.code == 2
    assert "names another file, by the option 'path' of betas" in result.err
    with pytest.raises(UsageError, match="names another file"):
        dtool.sample(dtool.load(path, device="cpu"), steps=3, n=1)


def test_the_form_is_in_the_metadata(tmp_path):
    path, _ = exported(tmp_path, inputs=("plan", "seed"))
    document = json.loads({p.key: p.value for p in onnx.load(path).metadata_props}["dtool"])
    assert document["form"]["inputs"] == ["seed", "plan"]
