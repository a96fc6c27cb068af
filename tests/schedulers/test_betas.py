"""β from a file of the user's."""

import json

import numpy as np
import pytest

from dtool.errors import UsageError
from dtool.schedulers import get_scheduler


@pytest.mark.parametrize("write", ["npy", "json", "txt", "csv"])
def test_betas_from_a_file(tmp_path, write):
    betas = [0.01, 0.05, 0.2, 0.5]
    path = tmp_path / f"betas.{write}"
    if write == "npy":
        np.save(path, betas)
    else:
        separator = {"json": None, "txt": "\n", "csv": ", "}[write]
        path.write_text(json.dumps(betas) if separator is None else separator.join(map(str, betas)))
    table = get_scheduler("betas", path=str(path))
    assert table.betas == pytest.approx(betas, rel=1e-12)
    assert get_scheduler(table.token).hash == table.hash, "a path survives being written in a token"


@pytest.mark.parametrize("text", ["", "0.1 nonsense", "0.1 0.0", "0.1 1.5", "nan"])
def test_a_file_that_holds_no_betas(tmp_path, text):
    path = tmp_path / "betas.txt"
    path.write_text(text)
    with pytest.raises(UsageError, match="betas"):
        get_scheduler("betas", path=str(path))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="cannot read betas") as error:
        get_scheduler("betas", path=str(tmp_path / "none.npy"))
    assert "give a" in error.value.hint
