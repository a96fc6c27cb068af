"""A folder of blocks becomes one array, or one folder of pictures: a block in memory at a time."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dtool.errors import DtoolError, UsageError
from dtool.parts.block_file import BlockImages, DamagedError, name_path, name_picture, read_block
from dtool.parts.filling import format_names
from dtool.parts.manifest import NAME, Manifest, read_manifest
from dtool.util.files import make_write_error, require_writable, write_atomically
from dtool.util.pictures import is_picture, to_pixels

IMAGES, LABELS = "arr_0", "arr_1"  # as the field's evaluators read them
_AGAIN = "run the command that drew them again: it draws what is missing"


@dataclass(frozen=True, kw_only=True)
class Merge:
    """A complete folder of blocks, and how its images are taken out of it: as `exact` numbers, or as pixels."""

    folder: Path
    manifest: Manifest
    exact: bool = False
    on_done: Callable[[int], None] | None = None

    def read(self) -> Iterator[BlockImages]:
        """The blocks in id order, each verified; raises DtoolError for one that is damaged or has gone."""
        for block in self.manifest.blocks:
            path = name_path(self.folder, self.manifest, block)
            try:
                images = read_block(path, self.manifest, block)
            except DamagedError as error:
                raise DtoolError(f"{path} is damaged ({error})", "draw it again: dtool sample … --redraw") from error
            except FileNotFoundError as error:
                raise DtoolError(f"{path} is missing", _AGAIN) from error
            yield images
            if self.on_done is not None:
                self.on_done(len(block))

    def read_pixels(self) -> Iterator[NDArray[Any]]:
        """The images of each block: pixels `(n, H, W, 3)` uint8, or as they were sampled where they are no pictures."""
        for images in self.read():
            yield self._convert(images.x0)

    def _convert(self, x0: NDArray[Any]) -> NDArray[Any]:
        if self.exact or x0.dtype == np.uint8 or not is_picture(self.manifest.shape):
            return x0
        return to_pixels(x0, self.manifest.range)

    def measure(self) -> tuple[tuple[int, ...], np.dtype[Any], bool]:
        """Shape and type of the one array, and whether there are labels, from the first block."""
        first = next(self.read())
        images = self._convert(first.x0)
        return (self.manifest.images, *images.shape[1:]), images.dtype, first.labels is not None


def open_folder(folder: Path) -> Manifest:
    """The manifest of a folder of blocks; raises UsageError if it is none."""
    manifest = read_manifest(folder)
    if manifest is None:
        what = f"{folder} holds no {NAME}" if folder.is_dir() else f"there is no folder {folder}"
        raise UsageError(what, "name a folder that was drawn into: dtool sample -n 1000 --into FOLDER")
    return manifest


def require_complete(folder: Path, manifest: Manifest) -> None:
    """Raise DtoolError, by their names, for blocks that are not there."""
    missing = [path.name for block in manifest.blocks if not (path := name_path(folder, manifest, block)).exists()]
    if missing:
        raise DtoolError(f"{folder}: {format_names(missing, 'is missing', 'are missing')}", _AGAIN)


def merge(folder: Path, target: Path, *, exact: bool = False, on_done: Callable[[int], None] | None = None) -> Manifest:
    """Join the blocks of a complete folder in one .npz, or as PNGs in a new folder; returns its manifest.

    The array is `arr_0`, uint8 `(n, H, W, 3)`, grey as three equal channels, as the field's evaluators read it, and
    `arr_1` the classes, if there are any; exact: the numbers as they were sampled, `(n, *shape)`; so, too, of what is
    no picture. Equal folders give equal bytes. on_done(images): after each block. Nothing is removed.
    Raises DtoolError for blocks that are missing or damaged, UsageError for a target that cannot be.

    >>> from pathlib import Path
    >>> dtool.parts.merge(Path("samples"), Path("all.npz")).images  # doctest: +SKIP
    50000
    """
    manifest = open_folder(folder)
    own = Merge(folder=folder, manifest=manifest, exact=exact, on_done=None)
    into_pictures = target.suffix == "" or target.is_dir()
    if into_pictures:
        _require_pictures(target, manifest, exact)
    elif target.suffix.lower() != ".npz":
        raise UsageError(f"{target}: the array is an .npz", "end its name in .npz, or name a new folder for PNGs")
    else:
        require_writable(target)
    if target.resolve().parent == folder.resolve():
        raise UsageError(f"{target} would lie among the blocks", "name a place outside of their folder, with -o")
    if exact and manifest.kind == "png":
        raise UsageError(f"{folder} holds pictures, whose numbers are rounded", "leave --exact out")
    require_complete(folder, manifest)
    shape, dtype, labelled = own.measure()
    told = Merge(folder=folder, manifest=manifest, exact=exact, on_done=on_done)
    if into_pictures:
        _write_folder(target, told)
    else:
        write_atomically(target, lambda path: _write_array(path, told, shape, dtype, labelled))
    return manifest


def _require_pictures(target: Path, manifest: Manifest, exact: bool) -> None:
    """Raise UsageError for a folder of PNGs that cannot be: it is there already, or the samples are no pictures."""
    if not is_picture(manifest.shape):
        raise UsageError(f"samples of shape {manifest.shape} are no pictures", "name an .npz")
    if exact:
        raise UsageError("--exact is for an array: a PNG holds whole numbers", "name an .npz, or leave --exact out")
    if os.path.lexists(target):
        raise UsageError(f"{target} is there already", "name a new folder: nothing is put among other files")


def _write_array(path: Path, source: Merge, shape: tuple[int, ...], dtype: np.dtype[Any], labelled: bool) -> None:
    """The .npz that `numpy.savez` would write of the whole."""
    labels: list[NDArray[np.int64]] = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        with archive.open(f"{IMAGES}.npy", "w", force_zip64=True) as file:
            header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for images in source.read():
                file.write(np.ascontiguousarray(source._convert(images.x0)).data)
                labels += [] if images.labels is None else [images.labels]
        if labelled:
            with archive.open(f"{LABELS}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.concatenate(labels), allow_pickle=False)


def _write_folder(target: Path, source: Merge) -> None:
    """A folder of PNGs, named by their ids: filled under another name, then renamed."""
    temporary = Path()
    try:
        temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name[:40]}.", suffix=".tmp"))
        number = 0
        for pixels in source.read_pixels():
            for each in pixels:
                with (temporary / name_picture(number)).open("wb") as file:
                    Image.fromarray(each).save(file, "PNG")
                number += 1
        temporary.chmod(0o755)
        temporary.rename(target)
    except OSError as error:
        raise make_write_error(target, error) from error
    finally:
        if temporary.name:
            shutil.rmtree(temporary, ignore_errors=True)
