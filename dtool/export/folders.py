"""Writing a folder whole: all of its files and a manifest, or nothing."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dtool.errors import UsageError
from dtool.models.manifest import FORMAT, MANIFEST
from dtool.util.files import make_write_error


def require_new_folder(folder: Path) -> None:
    """Raise UsageError for a folder that holds something, or is none."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there, and not empty", "name another folder, or remove it")


def write_folder(folder: Path, write_parts: Callable[[Path], dict[str, Any]]) -> None:
    """Make a folder whole: what `write_parts(place)` writes, and a manifest of what it returns; or nothing is left."""
    require_new_folder(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise make_write_error(folder, error) from error
    try:
        manifest = {"format": FORMAT, **write_parts(place)}
        (place / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        place.chmod(0o755)
        place.replace(folder) if not folder.exists() else _fill(place, folder)
    except OSError as error:
        raise make_write_error(folder, error) from error
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _fill(place: Path, folder: Path) -> None:
    """An empty folder is replaced."""
    folder.rmdir()
    place.replace(folder)
