"""Files that are whole at all times: written under a temporary name, then renamed; and never over what is read."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from dtool.errors import DtoolError, UsageError

IMAGE_SUFFIXES = (".png", ".npz")  # what dtool writes and would read as images, if it lay in a folder of them
_OPTION = re.compile(r'=("(?:[^"\\]|\\.)*"|.*)', re.DOTALL)


class WriteError(DtoolError):
    """A file that could not be written."""


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write` with a temporary name beside `path`, then rename: there is the old file or the whole new one.

    Whatever goes wrong, an interruption too, the temporary file is removed. A link stays one: the file that it names
    is replaced. Raises `WriteError` if `write` failed for a reason of the file system's, or for what is no file; any
    other error of `write` passes through.
    """
    _require_replaceable(path)
    target = Path(os.path.realpath(path))
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=_make_prefix(target), suffix=".tmp")
    except OSError as error:
        raise make_write_error(path, error) from error
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(_get_mode(target))
        temporary.replace(target)
    except OSError as error:
        raise make_write_error(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def write_scratch_file(suffix: str, content: bytes, name: str = "the file") -> Iterator[Path]:
    """A file with this content, for as long as the context lasts; raises DtoolError if it cannot be written.

    name: what it stands for. Errors of dtool that are raised in the context say that, and not where the file was.
    """
    with tempfile.TemporaryDirectory(prefix="dtool-") as folder:
        path = Path(folder) / f"scratch{suffix}"
        try:
            path.write_bytes(content)
        except OSError as error:
            raise make_write_error(path, error) from error
        try:
            yield path
        except DtoolError as error:
            if str(path) not in f"{error}{error.hint}":
                raise
            cause, hint = (text.replace(str(path), name) for text in (str(error), error.hint))
            raise type(error)(cause, hint) from error


def require_writable(path: Path) -> None:
    """Raise `WriteError` now if nothing could be written to `path` later."""
    _require_replaceable(path)
    target = Path(os.path.realpath(path))
    try:
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=_make_prefix(target)):
            pass
    except OSError as error:
        raise make_write_error(path, error) from error


def require_picture(path: Path) -> None:
    """Raise UsageError for a name that is no PNG's, and as `require_writable` does."""
    if path.suffix.lower() != ".png" and not path.is_dir():
        raise UsageError(f"{path}: the picture is a PNG", "end its name in .png")
    require_writable(path)


def require_distinct_files(outputs: Iterable[Path | None], inputs: Iterable[Path | str | None] = ()) -> None:
    """Raise UsageError, before any work, for an output that is an input or another output, by whatever name.

    outputs: what will be written. inputs: what is read: files, words that may name one, folders of images. What dtool
    would read as an image the next time may not be written into such a folder.
    """
    read = [Path(source) for source in inputs if source]
    targets = [path for path in outputs if path is not None]
    hint = "name another file for what is written"
    for i, path in enumerate(targets):
        for other in targets[:i]:
            if is_same_file(path, other):
                raise UsageError(f"{other} and {path} are one file, and both would be written", hint)
        for source in read:
            if is_same_file(path, source):
                also = "" if str(path) == str(source) else f" (the same file as {source})"
                raise UsageError(f"{path}{also} is read here, and cannot be written too", hint)
            if path.suffix.lower() in IMAGE_SUFFIXES and _is_inside(path, source):
                raise UsageError(f"{path} would be one of the images in {source} the next time they are read", hint)


def is_same_file(one: Path, other: Path) -> bool:
    """Whether two names are those of one file: relative or absolute, through links, hard ones too, or by case."""
    try:
        return one.samefile(other)
    except (OSError, ValueError):  # one of them is not there yet
        return _resolve_path(one) == _resolve_path(other)


def find_option_files(*texts: object) -> list[Path]:
    """The files that stand behind a = in recipes and the like: `ddim@betas:path=b.npy/trailing` → b.npy."""
    paths = []
    for text in map(str, filter(None, texts)):
        for start in (place.start() for place in re.finditer("=", text)):
            match = _OPTION.match(text, start)
            value = match[1] if match else ""
            if value.startswith('"') and value.endswith('"') and len(value) > 1:
                with contextlib.suppress(ValueError):
                    paths.append(json.loads(value))
            ends = [end.start() for end in re.finditer(r"[,@/]", value)]
            paths += [value[:end] for end in (*ends, len(value))]
    return [Path(name) for name in dict.fromkeys(paths) if os.path.isfile(name)]  # noqa: PTH113 - raises nothing


class OutputWriter:
    """Writes the files of one command: one that cannot be written keeps none of the others from it.

    `paths`: those that are written, by kind.
    """

    def __init__(self) -> None:
        self.paths: dict[str, Path] = {}
        self._failed: list[DtoolError] = []
        self._lacking: list[DtoolError] = []
        self._kept: list[DtoolError] = []

    def add(self, kind: str, path: Path, write: Callable[[Path], object], *, required: bool = True) -> None:
        """Write a file as `write_atomically` does; `write` may draw or compute first, which may fail as well.

        required: False for a file that nobody asked for: it replaces none, and is no error where it cannot be written.
        """
        if not required and os.path.lexists(path):
            self._kept.append(DtoolError(f"{path} is there already, and stays as it is"))
            return
        try:
            write_atomically(path, write)
        except Exception as error:
            (self._failed if required else self._lacking).append(_make_output_error(path, error))
        else:
            self.paths[kind] = path

    def finish(self) -> None:
        """Raise the error of what could not be written; of what was not asked for, a warning."""
        if not self._failed:
            for error in (*self._kept, *self._lacking):
                warnings.warn(str(error), stacklevel=2)
            return
        causes = [str(error) for error in (*self._failed, *self._lacking)]
        causes += [f"written: {', '.join(map(str, self.paths.values()))}"] if self.paths else []
        raise WriteError("; ".join(causes), self._failed[0].hint) from self._failed[0]


def make_write_error(path: Path, error: Exception) -> WriteError:
    """The error for a file that could not be written; says what to do if the disk is full."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    hint = "free some space there" if full else "name a file in a folder that exists and is writable, with -o"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return WriteError(f"{path}: can't be written ({text.strip().splitlines()[0] if text.strip() else 'failed'})", hint)


def _make_output_error(path: Path, error: Exception) -> DtoolError:
    """The error for a file that could not be made, whatever the reason."""
    if isinstance(error, DtoolError):
        return error
    if isinstance(error, MemoryError):
        return WriteError(f"{path}: there is not enough memory to make it", "ask for fewer images")
    cause = f"{path}: can't be made ({type(error).__name__}: {' '.join(str(error).split())})"
    failure = WriteError(cause, "ask for fewer images; if that does not help, report it with the output of: dtool env")
    failure.__cause__ = error
    return failure


def _require_replaceable(path: Path) -> None:
    """Raise WriteError for what is no file: a folder, a device, a pipe; or is protected from being written."""
    if os.path.isdir(path):  # noqa: PTH112 - raises nothing
        raise WriteError(f"{path}: is a folder", "name a file, with -o")
    there = os.path.exists(path)  # noqa: PTH110
    if there and not os.path.isfile(path):  # noqa: PTH113
        raise WriteError(f"{path}: is a device or a pipe, not a file", "name a file, with -o")
    if there and not os.access(path, os.W_OK):
        raise WriteError(f"{path}: is protected from being written", "make it writable, or name another file, with -o")


def _make_prefix(path: Path) -> str:
    """How a temporary name beside `path` begins: not longer than a file system takes."""
    return f".{path.name[:40]}."


def _resolve_path(path: Path) -> str:
    place = os.path.normcase(os.path.realpath(path))
    return place.casefold() if sys.platform == "darwin" else place


def _is_inside(path: Path, folder: Path) -> bool:
    """Whether a file is in a folder or below it, by its name or by what that names."""
    if not os.path.isdir(folder):  # noqa: PTH112
        return False
    places = (Path(os.path.realpath(path)), Path(os.path.realpath(path.parent)) / path.name)
    return any(Path(os.path.realpath(folder)) in place.parents for place in places)


def _get_mode(path: Path) -> int:
    """The permissions of the file that is replaced, or those that a new file gets."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
