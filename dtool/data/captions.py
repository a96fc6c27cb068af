"""Captions of pictures: from a table, or from a text file beside each picture."""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dtool.data.listing import list_examples, scan_folder
from dtool.errors import DtoolError, UsageError
from dtool.util import bounded_reading

MOST_BYTES = 1 << 28  # of a table
MOST_LETTERS = 10_000  # of a caption
FORM = "write a CSV with the columns file and caption, files relative to the folder of pictures"


@dataclass(frozen=True)
class Captions:
    """The distinct captions of some pictures, and which of them are each picture's: one or more.

    texts: each once. places `(N, most)` int64: the numbers of each picture's, of which the first `counts` `(N,)` hold.
    """

    texts: tuple[str, ...]
    places: NDArray[np.int64]
    counts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.counts)

    @classmethod
    def of(cls, captions: Sequence[Sequence[str]]) -> Captions:
        """The captions of each picture."""
        numbers = {text: k for k, text in enumerate(dict.fromkeys(text for each in captions for text in each))}
        places = np.zeros((len(captions), max(map(len, captions))), np.int64)
        for row, each in zip(places, captions, strict=True):
            row[: len(each)] = [numbers[text] for text in each]
        return cls(tuple(numbers), places, np.array([len(each) for each in captions], np.int64))

    def pick(self, index: NDArray[np.int64]) -> Captions:
        """Those of the pictures at `index`."""
        return Captions(self.texts, self.places[index], self.counts[index])

    def fingerprint(self, start: int = 0) -> int:
        """A checksum of which picture has which captions."""
        total = zlib.crc32("\n".join(self.texts).encode(), start)
        for array in (self.places, self.counts):
            total = zlib.crc32(np.ascontiguousarray(array).tobytes(), total)
        return total


def read_captions(source: str, folder: str) -> Captions:
    """The captions of all pictures in `folder`, in the order in which they are read.

    source: a CSV with the columns file and caption, of which further ones are not read; a picture may have several
    rows. Or a folder of text files with the pictures' names, .txt in the place of their suffix: one caption a line.
    A name that is nowhere is looked for in `folder`. Raises DtoolError for captions of files that are not there, and
    for pictures without one.
    """
    root, place = Path(folder), Path(source)
    if not root.is_dir():
        raise UsageError(f"{folder} is no folder, and captions are of pictures in one", "give a folder of pictures")
    place = place if place.exists() else root / source
    if not place.exists():
        raise DtoolError(f"there is no file {source}, here or in {folder}", "give a CSV, or a folder of text files")
    pictures = [path.relative_to(root).as_posix() for path in scan_folder(root).paths]
    if place.is_dir():
        found = {name: _read_lines((place / name).with_suffix(".txt")) for name in pictures}
    else:
        found = _read_table(place, pictures, root)
    bare = [name for name in pictures if not found.get(name)]
    if bare:
        raise DtoolError(
            f"{len(bare)} of {len(pictures)} pictures have no caption: {list_examples(bare)}",
            "write one for each, or take the pictures away",
        )
    return Captions.of([found[name] for name in pictures])


def _read_table(path: Path, pictures: Sequence[str], root: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {name: [] for name in pictures}
    missing = []
    for number, file, caption in _iterate_rows(path):
        name = Path(file).as_posix()
        if name not in found:
            missing.append(file)
        elif not caption:
            raise DtoolError(f"{path}, line {number}: {file} has an empty caption", "write one, or take the line away")
        else:
            found[name].append(_check_caption(caption, f"{path}, line {number}"))
    if missing:
        raise DtoolError(
            f"{path} has captions of {len(missing)} files that are no pictures in {root}: {list_examples(missing)}",
            FORM,
        )
    return found


def _iterate_rows(path: Path) -> Iterator[tuple[int, str, str]]:
    """The number of each row's last line, its file and its caption."""
    try:
        text = bounded_reading.read_text(path, MOST_BYTES)
    except (OSError, ValueError) as error:
        raise DtoolError(f"{path} cannot be read ({bounded_reading.explain_read_error(error)})", FORM) from error
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    count = 0
    try:
        columns = [name.strip() for name in rows.fieldnames or ()]
        if not {"file", "caption"} <= set(columns):
            raise DtoolError(f"{path} has the columns {', '.join(columns) or 'of none'}", FORM)
        rows.fieldnames = columns
        for row in rows:
            if row["file"] is None or row["caption"] is None:
                raise DtoolError(f"{path}, line {rows.line_num}: the row is too short", FORM)
            count += 1
            yield rows.line_num, row["file"].strip(), row["caption"].strip()
    except csv.Error as error:
        raise DtoolError(f"{path}, line {rows.line_num}: no CSV ({error})", FORM) from error
    if not count:
        raise DtoolError(f"{path} holds no captions", FORM)


def _read_lines(path: Path) -> list[str]:
    if not path.is_file():
        return []
    try:
        lines = bounded_reading.read_text(path, MOST_BYTES).splitlines()
    except (OSError, ValueError) as error:
        why = bounded_reading.explain_read_error(error)
        raise DtoolError(f"{path} cannot be read ({why})", "write captions in UTF-8, one a line") from error
    return [_check_caption(line.strip(), str(path)) for line in lines if line.strip()]


def _check_caption(text: str, where: str) -> str:
    if len(text) > MOST_LETTERS:
        raise DtoolError(f"{where}: a caption of {len(text)} letters", f"at most {MOST_LETTERS} are taken")
    return text
