"""A schedule read from a file."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from dtool.schedulers.schedule import Schedule, from_betas
from dtool.schedulers.scheduler import scheduler
from dtool.util.file_references import FileName
from dtool.util.number_files import read_numbers


@scheduler("betas")
def betas(
    *, path: Annotated[FileName, Field(description=".npy, .json (a list) or text, one β a line or commas")]
) -> Schedule:
    """Any discrete schedule: the β of a file, from the least noise to the most."""
    return from_betas(read_numbers(Path(path), "betas"))
