"""The C library's allocator while much memory is taken and given back, once or again and again."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable, Iterator

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # parameters of mallopt(3)
_SMALL, _LARGE, _HUGE = 1 << 20, 1 << 25, 1 << 30  # bytes; the second is where GNU's own adjustment ends


@contextlib.contextmanager
def keep_large_blocks() -> Iterator[None]:
    """Have blocks of up to a gigabyte kept when they are freed, up to two: for loops that take the same memory again.

    Memory that the system gives anew costs a page fault for every 4 kB. Elsewhere than on GNU's C library nothing
    changes. Afterwards the library's own limits hold, as after `return_large_blocks`.
    """
    mallopt = _find_mallopt()
    if mallopt is None:
        yield
        return
    mallopt(_MMAP_THRESHOLD, _HUGE)
    mallopt(_TRIM_THRESHOLD, 2 * _HUGE - 1)
    try:
        yield
    finally:
        mallopt(_MMAP_THRESHOLD, _LARGE)
        mallopt(_TRIM_THRESHOLD, 2 * _LARGE)


@contextlib.contextmanager
def return_large_blocks() -> Iterator[None]:
    """Have blocks of a megabyte and more given back to the system as soon as they are freed. Elsewhere than on GNU's C
    library nothing changes.

    Afterwards only those of 32 MB and more are, which is what the library comes to by itself once it has freed one.
    """
    mallopt = _find_mallopt()
    if mallopt is None:
        yield
        return
    mallopt(_MMAP_THRESHOLD, _SMALL)
    try:
        yield
    finally:
        mallopt(_MMAP_THRESHOLD, _LARGE)
        mallopt(_TRIM_THRESHOLD, 2 * _LARGE)


def _find_mallopt() -> Callable[[int, int], int] | None:
    """mallopt(3) of GNU's C library; None if it is another library."""
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018 - asks whether it is there
        mallopt: Callable[[int, int], int] = library.mallopt
    except (AttributeError, OSError, TypeError):  # another library, or no such function on this system
        return None
    return mallopt
