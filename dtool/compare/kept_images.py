"""Images saved as they come, so that an interrupted comparison goes on where it stopped."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from dtool.errors import DtoolError
from dtool.models.fingerprint import identify
from dtool.models.network import Network
from dtool.util import bounded_reading
from dtool.util.files import make_write_error, write_atomically
from dtool.util.locks import hold_lock
from dtool.version import __version__

PART = 64  # images between two files
P = ParamSpec("P")
R = TypeVar("R")


class ImageCache:
    """Files in a folder of their own, a plan's images some at a time: `KEY-PLAN-FIRST.npz`. No others are touched.

    Each file says what it holds: the key, whose digest is in its name, the plan, which images, and their checksum.
    Files of another comparison are neither read nor removed, so that several may save images in one folder, one at a
    time: see `lock`.
    """

    def __init__(self, folder: Path, key: dict[str, Any] | None = None) -> None:
        """folder: made when there is something to save. key: what the images depend on; it may be set later.

        Raises DtoolError if something else has the folder's name.
        """
        self.folder = folder
        self._key = ""
        if os.path.lexists(folder) and not folder.is_dir():
            raise make_write_error(folder, NotADirectoryError(0, "not a folder"))
        if key is not None:
            self.set_key(key)

    def set_key(self, key: dict[str, Any]) -> None:
        """Set what the images depend on: those of another key are not read."""
        self._key = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()

    @contextlib.contextmanager
    def lock(self) -> Iterator[ImageCache]:
        """Lock this folder against other comparisons; raises DtoolError at once if one has it."""
        with hold_lock(self.folder, f"{self.folder} is being used"):
            yield self

    @property
    def has_images(self) -> bool:
        """Whether images of this comparison are saved."""
        return bool(self._list_files())

    def read(self, plan: str) -> NDArray[np.float32] | None:
        """The images `(k, *shape)` of a plan from the first on without a gap, None if there are none.

        A file that cannot be read, or holds anything else, counts as none.
        """
        images: list[NDArray[np.float32]] = []
        done = 0
        while (part := self._read_part(plan, done)) is not None:
            images.append(part)
            done += len(part)
        return np.concatenate(images) if images else None

    def has(self, plan: str, first: int) -> bool:
        """Whether there is a file of the images from the `first`-th on, whatever is in it."""
        return self.get_path(plan, first).exists()

    def read_block(self, plan: str, first: int, count: int) -> NDArray[Any]:
        """The `count` images of one file; raises DtoolError if it holds anything else than what was saved."""
        images = self._read_part(plan, first)
        if images is None or len(images) != count:
            path = self.get_path(plan, first)
            how = "is truncated, or was altered" if path.exists() else "is missing"
            raise DtoolError(f"{path} {how}", "take it away if it is there; the same command then draws it again")
        return images

    def make(self) -> None:
        """Make the folder; raises DtoolError if that is not possible."""
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise make_write_error(self.folder, error) from error

    def write(self, plan: str, first: int, images: NDArray[Any]) -> None:
        """Save the images from the `first`-th on; raises DtoolError if they cannot be written."""
        images = np.ascontiguousarray(images)
        about = json.dumps(self._about(plan, first, images))

        def save(temporary: Path) -> None:
            with temporary.open("wb") as file:
                np.savez(file, images=images, about=np.array(about))

        self.make()
        write_atomically(self.get_path(plan, first), save)

    def clear(self) -> None:
        """Remove what this comparison saved, and the folder if nothing else is in it."""
        unfinished = self.folder.glob(f".{self._key[:16]}-*.tmp") if self._key else ()  # of a run that was killed
        for path in (*self._list_files(), *unfinished):
            with contextlib.suppress(OSError):
                path.unlink()
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def get_path(self, plan: str, first: int) -> Path:
        """The file of the images from the `first`-th on."""
        return self.folder / f"{self._key[:16]}-{plan}-{first}.npz"

    def _list_files(self) -> list[Path]:
        return list(self.folder.glob(f"{self._key[:16]}-*-*.npz")) if self._key else []

    def _about(self, plan: str, first: int, images: NDArray[Any]) -> dict[str, Any]:
        """The description that a file holds beside its images."""
        digest = hashlib.sha256(f"{images.dtype.str} {images.shape}".encode())
        digest.update(images.data)
        return {"key": self._key, "plan": plan, "first": first, "count": len(images), "sha256": digest.hexdigest()}

    def _read_part(self, plan: str, first: int) -> NDArray[Any] | None:
        """The images of one file, None if it holds anything else."""
        try:
            with bounded_reading.open_file(self.get_path(plan, first)) as file, zipfile.ZipFile(file) as part:
                about, images = (
                    json.loads(str(bounded_reading.read_stored_array(part, "about"))),
                    np.ascontiguousarray(bounded_reading.read_stored_array(part, "images")),
                )
        except Exception:  # zipfile raises almost anything on a damaged file
            return None
        good = images.ndim > 1 and len(images) > 0 and about == self._about(plan, first, images)
        return images if good else None


def cache_images(function: Callable[P, R]) -> Callable[P, R]:
    """`function(…, keep=…)`, which gets an `ImageCache`, locked while it runs, in place of a folder."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **options: P.kwargs) -> R:
        folder = options.get("keep")
        if not isinstance(folder, (str, Path)):
            return function(*args, **options)
        with ImageCache(Path(folder)).lock() as options["keep"]:
            return function(*args, **options)

    return wrapper


def make_cache_key(network: Network, files: Iterable[Path] = (), **settings: Any) -> dict[str, Any]:
    """What the images of a plan depend on: the network, identified by its files or else its outputs, and the settings.

    Raises DtoolError for settings that JSON cannot hold.
    """
    own = identify([network], files)
    key = {"dtool": __version__, "network": own, "backend": network.backend, "device": network.device}
    try:
        plain: dict[str, Any] = json.loads(json.dumps(key | settings))
    except TypeError as error:
        raise DtoolError(f"a setting cannot be saved ({error})", "give plain numbers and lists") from error
    return plain
