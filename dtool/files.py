"""Files that are whole at all times: written under a temporary name, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from dtool.errors import DtoolError, UsageError


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write` with a temporary name beside `path`, then rename: there is the old file or the whole new one.

    Whatever goes wrong, an interruption too, the temporary file is removed. Raises `DtoolError` if `write` failed for
    a reason of the file system's; any other error of `write` passes through.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    except OSError as error:
        raise cannot_write(path, error) from error
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(_mode(path))
        temporary.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def scratch_file(suffix: str, content: bytes, name: str = "the file") -> Iterator[Path]:
    """A file with this content, for as long as the context lasts; raises DtoolError if it cannot be written.

    name: what it stands for. Errors of dtool that are raised in the context say that, and not where the file was.
    """
    with tempfile.TemporaryDirectory(prefix="dtool-") as folder:
        path = Path(folder) / f"scratch{suffix}"
        try:
            path.write_bytes(content)
        except OSError as error:
            raise cannot_write(path, error) from error
        try:
            yield path
        except DtoolError as error:
            if str(path) not in f"{error}{error.hint}":
                raise
            cause, hint = (text.replace(str(path), name) for text in (str(error), error.hint))
            raise type(error)(cause, hint) from error


def require_writable(path: Path) -> None:
    """Raise `DtoolError` now if nothing could be written to `path` later."""
    if path.is_dir():
        raise DtoolError(f"{path}: is a folder", "name a file, with -o")
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}."):
            pass
    except OSError as error:
        raise cannot_write(path, error) from error


def require_picture(path: Path) -> None:
    """Raise UsageError for a name that is no PNG's, and as `require_writable` does."""
    if path.suffix.lower() != ".png" and not path.is_dir():
        raise UsageError(f"{path}: the picture is a PNG", "end its name in .png")
    require_writable(path)


def cannot_write(path: Path, error: Exception) -> DtoolError:
    """The error for a file that could not be written; says what to do if the disk is full."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    hint = "free some space there" if full else "name a file in a folder that exists and is writable, with -o"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return DtoolError(f"{path}: can't be written ({text.strip().splitlines()[0] if text.strip() else 'failed'})", hint)


def _mode(path: Path) -> int:
    """The permissions of the file that is replaced, or those that a new file gets."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
