"""Archives damaged in one way each, and words that no error of dtool may hold."""

import re
import zipfile
from pathlib import Path

RAW = re.compile(r"Errno|\b[A-Z]\w*(Error|Exception)\b|codec|has no attribute")


def rewritten(path: Path, packing: int = zipfile.ZIP_STORED, **changed: bytes) -> None:
    """The archive again, packed otherwise, or with other bytes in the entries whose names end so."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, content in entries.items():
            archive.writestr(name, changed.get(Path(name).stem, content))


def flagged_as_encrypted(path: Path) -> None:
    """Set the flag in both headers of every entry."""
    data = bytearray(path.read_bytes())
    for signature, place in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
        for match in re.finditer(re.escape(signature), bytes(data)):
            data[match.start() + place] |= 1
    path.write_bytes(data)


def misplaced(path: Path) -> None:
    """Let the table of contents begin before the file does."""
    rewritten(path)  # with one place alone that says where it is
    data = bytearray(path.read_bytes())
    end = data.rindex(b"PK\5\6")
    data[end + 12 : end + 16] = b"\xff\xff\xff\x7f"
    path.write_bytes(data)


WRONG = {
    "encrypted": flagged_as_encrypted,
    "deflated": lambda path: rewritten(path, zipfile.ZIP_DEFLATED),
    "lzma": lambda path: rewritten(path, zipfile.ZIP_LZMA),
    "misplaced": misplaced,
}
