"""Numbers out of a file."""

import json
from pathlib import Path

import numpy as np

from dtool.errors import UsageError
from dtool.schedulers.schedule import Array


def read_numbers(path: Path, what: str) -> Array:
    """The numbers in a .npy, .json or text file, float64; raises UsageError if there are none to be had."""
    try:
        if path.suffix == ".npy":
            values = np.load(path, allow_pickle=False)
        elif path.suffix == ".json":
            values = json.loads(path.read_text(encoding="utf-8"))
        else:
            values = path.read_text(encoding="utf-8").replace(",", " ").split()
        return np.asarray(values, dtype=np.float64)
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(
            f"cannot read {what} from {path}: {error}", "give a .npy, .json or text file of numbers"
        ) from error
