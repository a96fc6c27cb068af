"""A folder is written whole, or not at all."""

from __future__ import annotations

import json

import pytest

from dtool.errors import DtoolError, UsageError
from dtool.export.folders import write_folder


def write_one(place):
    (place / "part.txt").write_text("here")
    return {"parts": {"one": "part.txt"}}


@pytest.mark.parametrize("exists", [True, False])
def test_its_files_and_the_manifest(exists, tmp_path):
    folder = tmp_path / "a" / "pipe"
    if exists:
        folder.mkdir(parents=True)
    write_folder(folder, write_one)
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "part.txt"]
    assert json.loads((folder / "manifest.json").read_text())["parts"] == {"one": "part.txt"}
    assert [path.name for path in folder.parent.iterdir()] == ["pipe"]
    with pytest.raises(UsageError, match="not empty"):
        write_folder(folder, write_one)


def test_nothing_is_left_where_something_goes_wrong(tmp_path):
    def fail(place):
        write_one(place)
        raise DtoolError("it does not fit", "make it smaller")

    with pytest.raises(DtoolError, match="does not fit"):
        write_folder(tmp_path / "pipe", fail)
    assert not list(tmp_path.iterdir())
