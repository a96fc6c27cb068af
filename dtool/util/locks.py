"""One run at a time for a file: the operating system's locks, which end with the process that holds them."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from dtool.errors import DtoolError
from dtool.util.files import make_write_error

MAX_TRIES = 100  # each is lost only to a run that has just ended
BUSY_ERRNOS = (errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK)


class InUseError(DtoolError):
    """Another run holds the lock."""


@contextlib.contextmanager
def hold_lock(path: Path, what: str) -> Iterator[None]:
    """Hold the lock of `path`, a hidden file beside it, for as long as the context lasts; nothing waits for it.

    The lock of a process that was killed is none: a file that it left is taken over. `what` is said of a lock that
    another run holds: raises InUseError at once then, DtoolError if the file cannot be made. Where the file system has
    no locks, a warning says so.
    """
    real = Path(os.path.realpath(path))
    place = real.with_name(f".{real.name.lstrip('.')}.lock")
    handle = _acquire(place, what)
    try:
        yield
    finally:
        _release(place, handle)


def _acquire(place: Path, what: str) -> int:
    """The open file of a lock that is held, and whose name is still its own."""
    for _ in range(MAX_TRIES):
        try:
            handle = os.open(place, os.O_CREAT | (os.O_RDWR if sys.platform == "win32" else os.O_RDONLY), 0o666)
        except OSError as error:
            raise make_write_error(place, error) from error
        try:
            _lock(handle)
        except OSError as error:
            if error.errno in BUSY_ERRNOS:
                os.close(handle)
                raise _make_in_use_error(what) from error
            warnings.warn(
                f"{place.parent}: no locks are to be had there; two runs would not notice each other", stacklevel=4
            )
            return handle
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(handle), place.stat()):
                return handle
        os.close(handle)  # the run that held it has removed it in the meantime
    raise _make_in_use_error(what)


def _make_in_use_error(what: str) -> InUseError:
    return InUseError(f"{what} by another run, which has not ended", "wait for it, or name another file, with -o")


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

    def _release(place: Path, handle: int) -> None:
        with contextlib.suppress(OSError):
            msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)
        os.close(handle)
        with contextlib.suppress(OSError):  # another run may have opened it by now
            place.unlink()

else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _release(place: Path, handle: int) -> None:
        with contextlib.suppress(OSError):  # before the lock ends: who has it open will see that its name is gone
            place.unlink()
        os.close(handle)
