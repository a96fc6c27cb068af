"""Images kept as they come, so that a comparison that was interrupted goes on where it stopped."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from dtool import bounded
from dtool.errors import DtoolError
from dtool.files import cannot_write, write_atomically
from dtool.locks import locked
from dtool.networks.network import Network
from dtool.version import __version__

PART = 64  # images between two files
P = ParamSpec("P")
R = TypeVar("R")


class Parts:
    """Files in a folder of their own, a plan's images some at a time: `KEY-PLAN-FIRST.npz`. No others are touched.

    Each says in itself what it holds: the key, of which a digest is in its name, the plan, which images, and a checksum
    of them. What does not say what is asked for is none of this comparison's, and is neither read nor removed, so that
    several comparisons may keep images in one folder. One at a time: `locked`.
    """

    def __init__(self, folder: Path, key: dict[str, Any] | None = None) -> None:
        """folder: made when there is something to keep. key: what decides over the images; it may be set later.

        Raises DtoolError if there is no such folder to be had.
        """
        self.folder = folder
        self._key = ""
        if os.path.lexists(folder) and not folder.is_dir():
            raise cannot_write(folder, NotADirectoryError(0, "not a folder"))
        if key is not None:
            self.begin(key)

    def begin(self, key: dict[str, Any]) -> None:
        """Set what decides over the images: those of another key are not read."""
        self._key = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()

    @contextlib.contextmanager
    def locked(self) -> Iterator[Parts]:
        """Keep other comparisons from this folder; raises DtoolError at once if one has it."""
        with locked(self.folder, f"{self.folder} is being used"):
            yield self

    @property
    def there(self) -> bool:
        """Whether images of this comparison are kept."""
        return bool(self._own())

    def read(self, plan: str) -> NDArray[np.float32] | None:
        """The images `(k, *shape)` of a plan from the first on without a gap, None if there are none.

        A file that cannot be read, or holds anything else, is as good as none.
        """
        images: list[NDArray[np.float32]] = []
        done = 0
        while (part := self._part(plan, done)) is not None:
            images.append(part)
            done += len(part)
        return np.concatenate(images) if images else None

    def write(self, plan: str, first: int, images: NDArray[np.float32]) -> None:
        """Keep the images from the `first`-th on; raises DtoolError if they cannot be written."""
        images = np.ascontiguousarray(images)
        about = json.dumps(self._about(plan, first, images))

        def save(temporary: Path) -> None:
            with temporary.open("wb") as file:
                np.savez(file, images=images, about=np.array(about))

        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise cannot_write(self.folder, error) from error
        write_atomically(self._path(plan, first), save)

    def clear(self) -> None:
        """Remove what this comparison kept, and the folder if nothing else is in it."""
        unfinished = self.folder.glob(f".{self._key[:16]}-*.tmp") if self._key else ()  # of a run that was killed
        for path in (*self._own(), *unfinished):
            with contextlib.suppress(OSError):
                path.unlink()
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def _path(self, plan: str, first: int) -> Path:
        return self.folder / f"{self._key[:16]}-{plan}-{first}.npz"

    def _own(self) -> list[Path]:
        return list(self.folder.glob(f"{self._key[:16]}-*-*.npz")) if self._key else []

    def _about(self, plan: str, first: int, images: NDArray[np.float32]) -> dict[str, Any]:
        """What a part says of itself."""
        digest = hashlib.sha256(f"{images.dtype.str} {images.shape}".encode())
        digest.update(images.data)
        return {"key": self._key, "plan": plan, "first": first, "count": len(images), "sha256": digest.hexdigest()}

    def _part(self, plan: str, first: int) -> NDArray[np.float32] | None:
        """The images of one file, None if it is not what it should be."""
        try:
            with bounded.opened(self._path(plan, first)) as file, zipfile.ZipFile(file) as part:
                about, images = json.loads(str(_entry(part, "about"))), np.ascontiguousarray(_entry(part, "images"))
        except Exception:  # whatever zipfile meets where its numbers are wrong
            return None
        good = images.ndim > 1 and len(images) > 0 and about == self._about(plan, first, images)
        return images if good else None


def _entry(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """An array of a part, which is stored as it is; UnreadableError for what is packed, or does not fit its header."""
    info = archive.getinfo(f"{name}.npy")
    if info.compress_type != zipfile.ZIP_STORED:
        raise bounded.UnreadableError("it is compressed")
    with archive.open(info) as file:
        array = bounded.array(file, bounded.array_header(file, info.compress_size))
        if file.read(1):  # reading to the end compares the checksum
            raise bounded.UnreadableError("it goes on")
        return array


def keeping(function: Callable[P, R]) -> Callable[P, R]:
    """`function(…, keep=…)`, which gets the folder's `Parts`, locked while it runs, where it is told a folder."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **options: P.kwargs) -> R:
        folder = options.get("keep")
        if not isinstance(folder, (str, Path)):
            return function(*args, **options)
        with Parts(Path(folder)).locked() as options["keep"]:
            return function(*args, **options)

    return wrapper


def key_of(network: Network, **settings: Any) -> dict[str, Any]:
    """What decides over the images that a plan draws: the network, known by what it answers, and the settings.

    Raises DtoolError if the settings are nothing that JSON can hold.
    """
    digest = hashlib.sha256(network.spec.model_dump_json().encode())
    last = network.schedule.T - 1
    for time in sorted({last // 20, last // 4, last // 2, 3 * last // 4, last}):
        digest.update(np.ascontiguousarray(network.trial(2, 1, time, False)).tobytes())
    key = {"dtool": __version__, "network": digest.hexdigest(), "backend": network.backend, "device": network.device}
    try:
        plain: dict[str, Any] = json.loads(json.dumps(key | settings))
    except TypeError as error:
        raise DtoolError(f"a setting cannot be kept ({error})", "give plain numbers and lists") from error
    return plain
