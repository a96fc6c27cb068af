"""Figures of parity tests, written down where someone asks for them: `docs/measure_models.py` makes a table of them."""

from __future__ import annotations

import json
import os
from pathlib import Path

FILE = "DTOOL_PARITY_FILE"  # the environment variable that names the file


def record_parity(error: float, largest: float) -> None:
    """A line of JSON for the test that is running: the largest difference, and the largest value of the origin's."""
    path = os.environ.get(FILE)
    if path:
        test = os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0]
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"test": test, "error": float(error), "largest": float(largest)}) + "\n")
