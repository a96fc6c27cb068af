"""A `.pt` before it is loaded: whether the archive is whole, and whether its pickle makes anything but tensors."""

from __future__ import annotations

import pickletools
import re
import zipfile
from collections.abc import Iterator
from typing import BinaryIO

from dtool.util import bounded_reading

ZIP = b"PK\x03\x04"  # what an archive begins with; before PyTorch 1.6 a file was none
ENCRYPTED = 0x1  # of an entry's flags
_TENSORS = re.compile(r"collections OrderedDict|torch._utils _rebuild_(tensor_v2|parameter)|torch \w+Storage")


class ArchiveError(ValueError):
    """Why an archive is not loaded, as words that fit into brackets behind "the file is damaged"."""


def list_called_names(file: BinaryIO) -> list[str]:
    """What the pickle in a `.pt` names to be called, as "module name", without what weights need.

    A file that is no archive is taken for a pickle by itself. Nothing is called. Raises ArchiveError for an archive
    that is not whole: torch.load notices neither a missing end at once nor wrong bytes at all.
    """
    if file.read(len(ZIP)) != ZIP:
        file.seek(0)
        return list(_parse_names(file.read()))
    pickled = _read_pickle(file)
    return list(_parse_names(pickled))


def _read_pickle(file: BinaryIO) -> bytes:
    """The pickle of an archive, whose sizes and checksums are looked at first."""
    size = file.seek(0, 2)
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            if any(entry.flag_bits & ENCRYPTED for entry in entries):
                raise ArchiveError("it is encrypted")
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                raise ArchiveError("it is compressed, which torch.save never does")
            if sum(entry.file_size for entry in entries) > size:
                raise ArchiveError("it declares more than it holds")
            if bad := archive.testzip():
                raise ArchiveError(f"in {bad[:80]}")
            pickles = [entry for entry in entries if re.fullmatch(r"[^/]*/data\.pkl", entry.filename)]
            if len(pickles) != 1:
                raise ArchiveError("it holds no data.pkl" if not pickles else "it holds data.pkl twice")
            return archive.read(pickles[0])
    except ArchiveError:
        raise
    except Exception as error:  # a table of contents with wrong numbers leads zipfile anywhere
        raise ArchiveError(bounded_reading.explain_read_error(error)) from error


def _parse_names(pickled: bytes) -> Iterator[str]:
    """What a pickle names, as far as it is one; a name that it puts together itself is `?`."""
    try:
        for code, argument, _ in pickletools.genops(pickled):
            if code.name in ("GLOBAL", "INST") and not _TENSORS.fullmatch(str(argument)):
                yield str(argument)
            elif code.name == "STACK_GLOBAL":
                yield "?"
    except (ValueError, IndexError, KeyError):  # it is none
        return
