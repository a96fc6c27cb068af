"""Numbers out of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dtool.errors import UsageError
from dtool.util import bounded_reading
from dtool.util.arrays import Array

MAX_NUMBERS = 10**6  # numbers
MAX_TEXT_BYTES = 1 << 25  # bytes of a file: 32 characters a number


def read_numbers(path: Path, what: str) -> Array:
    """The numbers in a .npy, .json or text file, (n,) float64, finite, a million at most.

    Raises UsageError if there are none to be had. What else the file holds is never shown.
    """
    hint = "give a .npy, .json or text file of numbers"
    try:
        if path.suffix == ".npy":
            values = _read_array(path)
        elif path.suffix == ".json":
            values = _parse_list(bounded_reading.read_text(path, MAX_TEXT_BYTES))
        else:
            values = _parse_words(bounded_reading.read_text(path, MAX_TEXT_BYTES))
    except UsageError:
        raise
    except OSError as error:
        raise UsageError(f"cannot read {what} from {path}: {error.strerror or error}", hint) from error
    except bounded_reading.UnreadableError as error:
        raise UsageError(f"cannot read {what} from {path}: {error}", hint) from error
    except ValueError as error:
        kind = "JSON" if path.suffix == ".json" else "text"
        raise UsageError(f"cannot read {what} from {path}: it is no {kind}", hint) from error
    if not np.isfinite(values).all():
        at = int(np.argmin(np.isfinite(values))) + 1
        raise UsageError(f"cannot read {what} from {path}: number {at} is not finite", hint)
    return values


def _read_array(path: Path) -> Array:
    with bounded_reading.open_file(path) as file:
        header = bounded_reading.read_array_header(file, bounded_reading.get_file_size(file))
        _require_few(header.nbytes // max(1, header.dtype.itemsize))
        if len(header.shape) != 1 or header.dtype.kind not in "iuf":
            raise bounded_reading.UnreadableError(f"it holds {header.dtype} {header.shape}, not a row of numbers")
        return bounded_reading.read_array(file, header).astype(np.float64)


def _parse_list(text: str) -> Array:
    _require_few(text.count(",") + 1)
    values = bounded_reading.parse_json(text, "the list")
    if not isinstance(values, list):
        raise bounded_reading.UnreadableError("it is no list")
    return _to_floats(values, (int, float))


def _parse_words(text: str) -> Array:
    words = text.replace(",", " ").split(maxsplit=MAX_NUMBERS)
    _require_few(len(words))
    return _to_floats(words, (str,))


def _to_floats(values: list[Any], kinds: tuple[type, ...]) -> Array:
    """`values` as numbers; raises UnreadableError that names the first that is none by its place alone."""
    numbers = np.empty(len(values))
    for i, value in enumerate(values):
        try:
            usable = isinstance(value, kinds) and not isinstance(value, bool)
            numbers[i] = value if usable else "no"
        except (ValueError, OverflowError):
            raise bounded_reading.UnreadableError(f"entry {i + 1} is no number that can be used") from None
    return numbers


def _require_few(count: int) -> None:
    if count > MAX_NUMBERS:
        raise bounded_reading.UnreadableError(f"it has more than {MAX_NUMBERS} numbers")
