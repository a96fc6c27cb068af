"""Images kept as they come, so that a comparison that was interrupted goes on where it stopped."""

from __future__ import annotations

import contextlib
import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.errors import DtoolError
from dtool.files import cannot_write, write_atomically
from dtool.networks.network import Network
from dtool.version import __version__

PART = 64  # images between two files
KEY = "key.json"


class Parts:
    """Files in a folder of their own, a plan's images some at a time: `PLAN-FIRST.npz`. None but these are touched."""

    def __init__(self, folder: Path, key: dict[str, Any]) -> None:
        """folder: made when there is something to keep. key: what decides over the images; files of others are removed.

        Raises DtoolError if it cannot be read, or is no folder.
        """
        self.folder = folder
        self._key = json.dumps(key, sort_keys=True)
        try:
            if folder.exists() and (folder / KEY).read_text("utf-8") != self._key:
                remove(folder)
        except FileNotFoundError:
            remove(folder)
        except (OSError, ValueError) as error:
            raise cannot_write(folder, error) from error

    def read(self, plan: str) -> NDArray[np.float32] | None:
        """The images `(k, *shape)` of a plan from the first on without a gap, None if there are none.

        A file that cannot be read is as good as none.
        """
        images: list[NDArray[np.float32]] = []
        done = 0
        while (path := self._path(plan, done)).exists():
            try:
                with np.load(path, allow_pickle=False) as part:
                    images.append(part["images"])
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
                break
            done += len(images[-1])
        return np.concatenate(images) if images else None

    def write(self, plan: str, first: int, images: NDArray[np.float32]) -> None:
        """Keep the images from the `first`-th on; raises DtoolError if they cannot be written."""

        def save(temporary: Path) -> None:
            with temporary.open("wb") as file:
                np.savez(file, images=images)

        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise cannot_write(self.folder, error) from error
        if not (self.folder / KEY).exists():
            write_atomically(self.folder / KEY, lambda temporary: temporary.write_text(self._key, "utf-8"))
        write_atomically(self._path(plan, first), save)

    def _path(self, plan: str, first: int) -> Path:
        return self.folder / f"{plan}-{first}.npz"


def remove(folder: Path) -> None:
    """Remove what a comparison kept in a folder, and the folder if nothing else is in it."""
    for path in [*folder.glob("*-*.npz"), folder / KEY]:
        with contextlib.suppress(OSError):
            path.unlink()
    with contextlib.suppress(OSError):
        folder.rmdir()


def key_of(network: Network, **settings: Any) -> dict[str, Any]:
    """What decides over the images that a plan draws: the network, known by what it answers, and the settings.

    Raises DtoolError if the settings are nothing that JSON can hold.
    """
    digest = hashlib.sha256(network.spec.model_dump_json().encode())
    digest.update(np.ascontiguousarray(network.trial(1, 1, network.schedule.T // 2, False)).tobytes())
    key = {"dtool": __version__, "network": digest.hexdigest(), "backend": network.backend, "device": network.device}
    try:
        plain: dict[str, Any] = json.loads(json.dumps(key | settings))
    except TypeError as error:
        raise DtoolError(f"a setting cannot be kept ({error})", "give plain numbers and lists") from error
    return plain
