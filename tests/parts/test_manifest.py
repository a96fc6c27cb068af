"""A folder is claimed by one run, and refused to every other, with what differs."""

import json

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError, UsageError
from dtool.parts.manifest import NAME, Manifest, claim_folder, read_manifest
from dtool.util.files import WriteError
from tests.support.block_functions import make_filling
from tests.support.commandline import network


def test_a_manifest_is_read_as_it_was_written_and_says_what_was_drawn(tmp_path):
    filling = make_filling(tmp_path / "deep" / "er", labels=[1, 0], options={"guidance": 2.0})
    said = json.loads((filling.folder / NAME).read_text())
    assert read_manifest(filling.folder) == filling.manifest == Manifest(**said)
    assert said["recipe"] == "ddpm"
    assert said["plan"] == filling.job.tables[0].hash
    assert dtool.Plan.from_json(json.dumps(said["plans"][0])) == filling.job.tables[0]
    assert said["settings"]["labels"] == [1, 0]
    assert said["versions"]["numpy"] == np.__version__
    assert said["versions"]["dtool"] == dtool.__version__


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"seed": 6}, "was drawn with seed 5, and this run has seed 6"),
        ({"count": 12}, "was drawn with -n 11, and this run has -n 12"),
        ({"size": 4}, "--block-size 3, and this run has --block-size 4"),
        ({"kind": "png"}, "--format npz, and this run has --format png"),
        ({"plans": dtool.plan("ddim", steps=2)}, "recipe ddpm, and this run has recipe ddim"),
        ({"plans": dtool.plan("ddpm", steps=3)}, "steps 2, and this run has steps 3"),
        ({"plans": dtool.plan("ddpm", steps=2, scheduler="cosine")}, "with .*cosine"),
        ({"options": {"clip": True}}, "clip null, and this run has clip true"),
        ({"labels": [2]}, r"labels null, and this run has labels \[2\]"),
    ],
)
def test_a_folder_of_another_run_is_refused_with_what_differs(tmp_path, change, cause):
    make_filling(tmp_path)
    with pytest.raises(UsageError, match=cause) as caught:
        make_filling(tmp_path, **change)
    assert "--into" in caught.value.hint


def test_a_folder_of_another_network_is_refused(tmp_path):
    filling = make_filling(tmp_path)
    job = type(filling.job)(model=network(classes=4), plans=filling.job.tables[0], count=11, size=3, seed=5)
    with pytest.raises(UsageError, match="was drawn with another network"):
        claim_folder(tmp_path, Manifest.of(job, "npz"))


def test_other_versions_are_no_other_run(tmp_path):
    manifest = make_filling(tmp_path).manifest
    other = manifest.model_copy(update={"versions": {"dtool": "0"}})
    assert claim_folder(tmp_path, other).versions == manifest.versions


def test_a_folder_of_other_things_is_refused_and_stays(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"holds other things \(photo\.jpg\), and no images of dtool's"):
        make_filling(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"format": 2}', "\x00"])
def test_what_is_no_manifest_is_refused(tmp_path, text):
    (tmp_path / NAME).write_text(text)
    with pytest.raises(UsageError, match=r"manifest\.json is no manifest of images"):
        make_filling(tmp_path)
    assert (tmp_path / NAME).read_text() == text


def test_a_folder_that_cannot_be_is_told(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WriteError, match="can't be written"):
        make_filling(tmp_path / "file")
    with pytest.raises(WriteError, match="can't be written"):
        make_filling(tmp_path / "file" / "folder")


@pytest.mark.parametrize("call", ["mkdir", "iterdir"])
def test_a_folder_without_permission_is_told(tmp_path, monkeypatch, call):
    filling = make_filling(tmp_path / "a")

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(tmp_path), call, refuse)
    with pytest.raises(DtoolError, match=r"can't be written \(Permission denied\)"):
        claim_folder(tmp_path / "b", filling.manifest)


def test_where_links_are_not_to_be_had_the_manifest_is_written_all_the_same(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    filling = make_filling(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    assert read_manifest(tmp_path) == filling.manifest
