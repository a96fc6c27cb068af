"""`dtool verify`, as it is typed: what is missing and damaged, by name, and nothing changed."""

import json

import pytest

from dtool.parts.filling import fill_folder
from tests.support.block_functions import list_files, make_filling
from tests.support.commandline import failed, ran


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    filling = make_filling(tmp_path / "samples")
    fill_folder(filling, list(filling.manifest.blocks))
    return filling.folder


def test_a_sound_folder_is_sound(folder, capsys):
    result = ran(capsys, "verify", "samples")
    assert (result.code, result.out) == (0, "")
    assert "11 images of ddpm, seed 5: complete and sound" in result.err
    assert json.loads(ran(capsys, "verify", "samples", "--json").out)["blocks"] == 4


def test_missing_and_damaged_blocks_are_listed_and_nothing_is_changed(folder, capsys):
    first, second, *_ = sorted(folder.glob("*.npz"))
    first.unlink()
    second.write_bytes(second.read_bytes()[:-1])
    before = list_files(folder)
    result = ran(capsys, "verify", "samples")
    assert result.code == 1
    assert result.out.splitlines()[0] == f"{first.name}: missing"
    assert result.out.splitlines()[1].startswith(f"{second.name}: damaged: ")
    assert "of 4 blocks 1 are missing and 1 damaged" in result.err
    told = json.loads(ran(capsys, "verify", "samples", "--json").out)
    assert (told["missing"], list(told["damaged"])) == ([first.name], [second.name])
    assert list_files(folder) == before


def test_what_is_no_folder_of_blocks_is_refused(folder, capsys):
    (folder / "manifest.json").unlink()
    failed(ran(capsys, "verify", "samples"), 2, "samples holds no manifest.json", "--into FOLDER")
    failed(ran(capsys, "verify", "nowhere"), 2, "there is no folder nowhere", "--into FOLDER")
