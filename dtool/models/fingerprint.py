"""Which network it is: a digest of its file and of what is said of it, or of what it answers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from dtool.errors import DtoolError
from dtool.models.network import Network

CHUNK = 1 << 20  # bytes that are read at a time


class Digest(Protocol):
    """What hashlib makes."""

    def update(self, data: bytes, /) -> None:
        """Take in more bytes."""


def identify(networks: Sequence[Network], files: Iterable[Path] = ()) -> str:
    """A digest of networks: of the content of the files that they are in, else of their answers; and of their specs.

    Answers differ in their last bits from machine to machine, files do not. Raises DtoolError for a file that cannot be
    read.
    """
    digest = hashlib.sha256()
    named = [path for path in files if path.exists()]
    for path in named:
        add_content(digest, path)
    for network in networks:
        digest.update(network.spec.model_dump_json().encode())
        if not named:
            add_answers(digest, network)
    return digest.hexdigest()


def add_content(digest: Digest, path: Path) -> None:
    """Take in the content of a file, or of all files of a folder with their names in it."""
    try:
        for place in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if place.is_file():
                digest.update(f"{place.relative_to(path)}\0{place.stat().st_size}\0".encode())
                with place.open("rb") as file:
                    while chunk := file.read(CHUNK):
                        digest.update(chunk)
    except OSError as error:
        raise DtoolError(f"cannot read {path}: {error.strerror or error}", "check the path") from error


def add_answers(digest: Digest, network: Network) -> None:
    """Take in what a network answers at five times, and what its weaker one does."""
    last = network.schedule.T - 1
    for each in (network, network.weak) if network.weak is not None else (network,):
        for time in sorted({last // 20, last // 4, last // 2, 3 * last // 4, last}):
            digest.update(np.ascontiguousarray(each.run_trial(2, 1, time, False)).tobytes())
