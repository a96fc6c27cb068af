"""What is written now and then while a run trains: nobody loses hours to a full disk, or to a picture."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from dtool.errors import DtoolError
from dtool.util.files import WriteError


def try_save(save: Callable[[], None], step: int) -> None:
    """Save. If that cannot be written, it is said, and training goes on: the next time there may be room."""
    try:
        save()
    except WriteError as error:
        warnings.warn(f"after {step} steps, {error}; training goes on, {error.hint}", stacklevel=3)


def try_preview(write: Callable[[], None]) -> None:
    """Write a preview. If that fails, it is said, and training goes on."""
    try:
        write()
    except Exception as error:
        text = str(error) if isinstance(error, DtoolError) else f"{type(error).__name__}: {error}"
        warnings.warn(f"there is no preview: {' '.join(text.split())}", stacklevel=3)
