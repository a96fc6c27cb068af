"""Numbers in text, JSON and NumPy files."""

from pathlib import Path

import numpy as np
import pytest

from dtool.errors import UsageError
from dtool.util.number_files import read_numbers
from tests.support.data_files import declared, device, fifo, npy, sparse
from tests.support.marks import needs_fifos


def test_numbers_are_read_as_ever(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([1, 2, 3], ">i2"))
    (tmp_path / "a.json").write_text("[1, 2.0, 3e0]")
    (tmp_path / "a.txt").write_text("1, 2\n3\n")
    for path in tmp_path.iterdir():
        assert read_numbers(path, "betas").tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.txt", "0.1\nroot:x:0:0\n", "entry 2 is no number"),
        ("a.txt", "0.1 nan", "number 2 is not finite"),
        ("a.txt", "1e999", "number 1 is not finite"),
        ("a.txt", "1 " * (10**6 + 1), "more than 1000000 numbers"),
        ("a.json", "[0.1, NaN]", "number 2 is not finite"),
        ("a.json", '[0.1, "0.2"]', "entry 2 is no number"),
        ("a.json", "[0.1, true]", "entry 2 is no number"),
        ("a.json", "[[0.1], [0.2]]", "entry 1 is no number"),
        ("a.json", "[1" + "0" * 400 + "]", "entry 1 is no number"),
        ("a.json", "[1" + "0" * 5000 + "]", "it is no JSON"),
        ("a.json", '{"secret": 1}', "it is no list"),
        ("a.json", "secret", "it is no JSON"),
        ("a.json", "[" * 100_000, "nested too deeply"),
        ("a.json", "[" + "0," * 10**6 + "0]", "more than 1000000 numbers"),
    ],
)
def test_numbers_that_are_none(name: str, content: str, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UsageError, match=f"cannot read betas from .*{name}: .*{says}") as caught:
        read_numbers(tmp_path / name, "betas")
    assert caught.value.hint
    assert not any(word in str(caught.value) for word in ("x:0", "secret"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (declared("(1000000000000,)", "<f8", bytes(8)), "promises 8000000000000 bytes"),
        (npy(np.zeros((2, 2))), r"not a row of numbers"),
        (npy(np.zeros(())), r"not a row of numbers"),
        (npy(np.array(["0.1"])), r"not a row of numbers"),
        (npy(np.zeros(2, complex)), r"not a row of numbers"),
        (npy(np.zeros(10**6 + 1, np.uint8)), "more than 1000000 numbers"),
        (b"\xff\xfe", "no array"),
    ],
)
def test_arrays_of_numbers_that_are_none(content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(UsageError, match=says):
        read_numbers(tmp_path / "a.npy", "times")


@needs_fifos
@pytest.mark.parametrize("suffix", [".npy", ".json", ".txt"])
def test_numbers_are_read_from_files_alone(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    for make in (fifo, device):
        kind = make(path)
        with pytest.raises(UsageError, match=f"it is {kind}, not a file"):
            read_numbers(path, "betas")
        path.unlink()
    sparse(path, 10**12)
    with pytest.raises(UsageError, match=r"no more than|no array"):
        read_numbers(path, "betas")
    path.unlink()
    with pytest.raises(UsageError, match="No such file"):
        read_numbers(path, "betas")
    path.mkdir()
    with pytest.raises(UsageError, match="it is a folder"):
        read_numbers(path, "betas")
