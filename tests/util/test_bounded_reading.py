"""Files that would hang a run or fill the memory are refused before they are read, with the cause and the remedy."""

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from dtool.compare.gate import read_baseline
from dtool.errors import DtoolError
from dtool.metrics import Classifier
from dtool.samplers.engines.variance_statistics import VarianceStatistics
from dtool.util import bounded_reading, memory
from tests.support.data_files import device, fifo, pictures, refused, sparse
from tests.support.marks import needs_fifos, needs_figures


def test_a_file_that_grows_is_not_read_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert bounded_reading.read_bytes(tmp_path / "a") == b"12345"
    with pytest.raises(bounded_reading.UnreadableError, match="5 bytes; no more than 4"):
        bounded_reading.read_bytes(tmp_path / "a", 4)
    monkeypatch.setattr(bounded_reading, "get_file_size", lambda _file: 3)
    with pytest.raises(bounded_reading.UnreadableError, match="grows"):
        bounded_reading.read_bytes(tmp_path / "a")


@needs_figures
def test_sparse_files_are_refused_before_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(memory.LIMIT_VARIABLE, "1")
    size = 2 * 10**10
    path = sparse(tmp_path / "images-idx3-ubyte", 16 + size, struct.pack(">4B3I", 0, 0, 8, 3, size // 10**4, 100, 100))
    error = refused(path)
    assert error.exit_code == 2
    assert "would take 20 GB of memory; there are 0" in str(error)
    for read in (read_baseline, VarianceStatistics.read, Classifier):
        with pytest.raises(DtoolError):
            read(path)
    assert "5 GB of memory" in str(
        refused(sparse(pictures(tmp_path / "p") / "x.webp", 5 * 10**9, b"RIFF\0\0\0\0WEBP").parent)
    )


@needs_fifos
@pytest.mark.parametrize("read", [read_baseline, VarianceStatistics.read, Classifier])
def test_other_files_of_users(read: Callable[[Path], object], tmp_path: Path) -> None:
    for i, make in enumerate((fifo, device)):
        kind = make(tmp_path / str(i))
        with pytest.raises(DtoolError, match=f"it is {kind}, not a file"):
            read(tmp_path / str(i))
    (tmp_path / "deep").write_text("[" * 100_000)
    with pytest.raises(DtoolError):
        read(tmp_path / "deep")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError(22, "Invalid argument"), "what it says of itself makes no sense"),
        (OSError("image file is truncated"), "image file is truncated"),
        (IndexError("index out of range"), "what it says of itself makes no sense"),
        (ValueError("invalid literal for int() with base 10: b'x'"), "what it says of itself makes no sense"),
        (ValueError("its pixels have\nmore than 16 bits"), "its pixels have more than 16 bits"),
        (EOFError(), "what it says of itself makes no sense"),
        (zipfile.BadZipFile("Bad CRC-32"), "Bad CRC-32"),
    ],
)
def test_the_words_of_readers(error, said):
    assert bounded_reading.explain_read_error(error) == said
