"""Numbers out of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dtool import bounded
from dtool.errors import UsageError
from dtool.schedulers.schedule import Array

MOST = 10**6  # numbers
MOST_TEXT = 1 << 25  # bytes of a file: 32 characters a number


def read_numbers(path: Path, what: str) -> Array:
    """The numbers in a .npy, .json or text file, (n,) float64, finite, a million at most.

    Raises UsageError if there are none to be had. What else the file holds is never shown.
    """
    hint = "give a .npy, .json or text file of numbers"
    try:
        if path.suffix == ".npy":
            values = _array(path)
        elif path.suffix == ".json":
            values = _list(bounded.text(path, MOST_TEXT))
        else:
            values = _words(bounded.text(path, MOST_TEXT))
    except UsageError:
        raise
    except OSError as error:
        raise UsageError(f"cannot read {what} from {path}: {error.strerror or error}", hint) from error
    except bounded.UnreadableError as error:
        raise UsageError(f"cannot read {what} from {path}: {error}", hint) from error
    except ValueError as error:
        kind = "JSON" if path.suffix == ".json" else "text"
        raise UsageError(f"cannot read {what} from {path}: it is no {kind}", hint) from error
    if not np.isfinite(values).all():
        at = int(np.argmin(np.isfinite(values))) + 1
        raise UsageError(f"cannot read {what} from {path}: number {at} is not finite", hint)
    return values


def _array(path: Path) -> Array:
    with bounded.opened(path) as file:
        header = bounded.array_header(file, bounded.size_of(file))
        _require_few(header.nbytes // max(1, header.dtype.itemsize))
        if len(header.shape) != 1 or header.dtype.kind not in "iuf":
            raise bounded.UnreadableError(f"it holds {header.dtype} {header.shape}, not a row of numbers")
        return bounded.array(file, header).astype(np.float64)


def _list(text: str) -> Array:
    _require_few(text.count(",") + 1)
    values = bounded.parsed(text, "the list")
    if not isinstance(values, list):
        raise bounded.UnreadableError("it is no list")
    return _floats(values, (int, float))


def _words(text: str) -> Array:
    words = text.replace(",", " ").split(maxsplit=MOST)
    _require_few(len(words))
    return _floats(words, (str,))


def _floats(values: list[Any], kinds: tuple[type, ...]) -> Array:
    """`values` as numbers; raises UnreadableError that names the first that is none by its place alone."""
    found = np.empty(len(values))
    for i, value in enumerate(values):
        try:
            usable = isinstance(value, kinds) and not isinstance(value, bool)
            found[i] = value if usable else "no"
        except (ValueError, OverflowError):
            raise bounded.UnreadableError(f"entry {i + 1} is no number that can be used") from None
    return found


def _require_few(count: int) -> None:
    if count > MOST:
        raise bounded.UnreadableError(f"it has more than {MOST} numbers")
