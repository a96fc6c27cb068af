"""What is in a folder of images: which files are read, and which are not, so that it can be said."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from dtool.data.pixels import list_suffixes
from dtool.errors import DtoolError

SYSTEM = ("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx")  # what other programs leave behind
SHOWN = 3  # names that a message lists


@dataclass(frozen=True, kw_only=True)
class Listing:
    """`paths`: the pictures, in order. `others`: all that is not read. `classes`: sub-folders that hold pictures;
    `empty`: those that hold none. `beside`: pictures that lie in no sub-folder.
    """

    folder: Path
    paths: tuple[Path, ...]
    others: tuple[Path, ...]
    classes: tuple[str, ...]
    empty: tuple[str, ...]
    beside: tuple[Path, ...]


def scan_folder(folder: Path) -> Listing:
    """Look through a folder and its sub-folders. Links to files are followed, links to folders are not.

    What begins with a dot, and what operating systems leave behind, does not count. Raises DtoolError if a folder
    cannot be read.
    """
    pictures: list[Path] = []
    others: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=_raise_unreadable):
        links = [name for name in folders if (Path(place) / name).is_symlink() and not _is_system(name)]
        folders[:] = [name for name in folders if not _is_system(name) and name not in links]
        others += [Path(place) / name for name in links]
        for path in (Path(place) / name for name in names if not _is_system(name)):
            (pictures if path.suffix.lower() in list_suffixes() else others).append(path)
    pictures.sort()
    top = sorted(path.name for path in _list_entries(folder) if path.is_dir() and not path.is_symlink())
    sub_folders = {path.relative_to(folder).parts[0] for path in pictures if path.parent != folder}
    return Listing(
        folder=folder,
        paths=tuple(pictures),
        others=tuple(sorted(others)),
        classes=tuple(sorted(sub_folders)),
        empty=tuple(name for name in top if name not in sub_folders and not _is_system(name)),
        beside=tuple(path for path in pictures if path.parent == folder),
    )


def warn_of_others(folder: Path, others: Collection[Path]) -> None:
    """Warn of what is not read, if there is anything."""
    if others:
        names = list_examples(str(path.relative_to(folder)) for path in sorted(others))
        verb = "is" if len(others) == 1 else "are"
        warnings.warn(f"{folder}: {len(others)} of its files {verb} not read: {names}", stacklevel=3)


def list_examples(names: Iterable[str], shown: int = SHOWN) -> str:
    """The first few names, as a message lists them."""
    known = list(names)
    more = f" and {len(known) - shown} more" if len(known) > shown else ""
    return ", ".join(known[:shown]) + more


def _is_system(name: str) -> bool:
    return name.startswith((".", "__MACOSX")) or name.lower() in SYSTEM


def _list_entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        _raise_unreadable(error)
        return []


def _raise_unreadable(error: OSError) -> None:
    raise DtoolError(f"{error.filename}: can't be read ({error.strerror})", "give it permissions to be read") from error
