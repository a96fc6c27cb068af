"""A schedule read from a file."""

import json
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from dtool.errors import UsageError
from dtool.schedulers.schedule import Array, Schedule, from_betas, scheduler


@scheduler("betas")
def betas(
    *, path: Annotated[str, Field(description=".npy, .json (a list) or text, one β a line or commas")]
) -> Schedule:
    """Any discrete schedule: the β of a file, from the least noise to the most."""
    return from_betas(_read(Path(path)))


def _read(path: Path) -> Array:
    """The numbers in `path`, float64 `(T,)`; raises UsageError if there are none to be had."""
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
            f"cannot read betas from {path}: {error}", "give a .npy, .json or text file of numbers"
        ) from error
