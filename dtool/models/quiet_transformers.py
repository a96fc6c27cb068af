"""transformers without its own bars and reports, while dtool opens what it makes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def silence_transformers(library: Any) -> Iterator[None]:
    """Its bars and reports are not shown: what is wrong with the weights becomes an error. library: the module."""
    logging = library.utils.logging
    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()
