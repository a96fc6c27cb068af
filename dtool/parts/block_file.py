"""One block in one file, or in one folder of pictures: written whole or not at all, and known again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dtool.parts.block import Block
from dtool.parts.manifest import Manifest
from dtool.util import bounded_reading
from dtool.util.files import make_write_error, write_atomically
from dtool.util.pictures import to_pixels

INDEX = "block.json"  # of a folder of pictures
FORGOTTEN = 3600  # seconds after which nobody writes to a temporary file any more


class DamagedError(ValueError):
    """Why a block's file is not what it should be, as words that fit behind its name."""


@dataclass(frozen=True)
class BlockImages:
    """The images of one block: `x0` `(n, *shape)`, or uint8 `(n, H, W, 3)` read from pictures; `labels` or None."""

    block: Block
    x0: NDArray[Any]
    labels: NDArray[np.int64] | None


def name_path(folder: Path, manifest: Manifest, block: Block) -> Path:
    """Where a block of these images is: a file, or a folder of pictures."""
    name = block.make_name(manifest.plan, manifest.model, manifest.seed)
    return folder / (f"{name}.npz" if manifest.kind == "npz" else name)


def write_block(path: Path, manifest: Manifest, images: BlockImages) -> None:
    """Write a block's images, whole or not at all; raises WriteError if that cannot be."""
    if manifest.kind == "npz":
        write_atomically(path, lambda temporary: _write_arrays(temporary, manifest, images))
    else:
        _write_pictures(path, manifest, images)


def read_block(path: Path, manifest: Manifest, block: Block) -> BlockImages:
    """A block's images; raises DamagedError if they are not all there as they were written, FileNotFoundError of none.

    Of a block in memory at a time.
    """
    read = _read_arrays if manifest.kind == "npz" else _read_pictures
    try:
        return read(path, manifest, block)
    except FileNotFoundError:
        if path.exists():
            raise DamagedError("a part of it is missing") from None
        raise
    except DamagedError:
        raise
    except bounded_reading.UnreadableError as error:
        raise DamagedError(str(error)) from error
    except PermissionError:
        raise
    except Exception as error:  # zipfile and Pillow raise almost anything on a damaged file
        raise DamagedError("it is cut off, or no file of this kind") from error


def find_temporaries(folder: Path, block: Block) -> Iterator[Path]:
    """What a process that was killed has left of this block: hidden, never read, and too old to be still written to."""
    for path in folder.glob(f".{block.first:08d}-{block.last:08d}-*.tmp"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > FORGOTTEN:
                yield path


def _describe(manifest: Manifest, block: Block, digest: str) -> dict[str, Any]:
    """What a file says of itself."""
    return {
        "plan": manifest.plan, "model": manifest.model, "seed": manifest.seed, "first": block.first, "last": block.last,
        "sha256": digest,
    }  # fmt: skip


def _require_same(about: Any, manifest: Manifest, block: Block, digest: str) -> None:
    """Raise DamagedError unless a file says of itself what it should, and its content is that."""
    wanted = _describe(manifest, block, digest)
    if not isinstance(about, dict) or about.keys() != wanted.keys():
        raise DamagedError("it does not say what it is")
    for name, value in wanted.items():
        if about[name] != value:
            cause = "its content was changed" if name == "sha256" else f"it is of another {name}: {about[name]}"
            raise DamagedError(cause)


def _write_arrays(path: Path, manifest: Manifest, images: BlockImages) -> None:
    arrays = _list_arrays(images)
    about = json.dumps(_describe(manifest, images.block, _hash_arrays(arrays)))
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays, about=np.array(about))


def _list_arrays(images: BlockImages) -> dict[str, NDArray[Any]]:
    """The arrays of a block by name, as `dtool sample --npz` names them."""
    arrays = {"x0": np.ascontiguousarray(images.x0), "ids": np.array(images.block.ids, np.uint64)}
    return arrays if images.labels is None else arrays | {"labels": np.asarray(images.labels, np.int64)}


def _hash_arrays(arrays: dict[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _read_arrays(path: Path, manifest: Manifest, block: Block) -> BlockImages:
    with bounded_reading.open_file(path) as file, zipfile.ZipFile(file) as archive:
        about = json.loads(str(bounded_reading.read_stored_array(archive, "about")))
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        arrays = {name: bounded_reading.read_stored_array(archive, name) for name in names if name != "about"}
    _require_same(about, manifest, block, _hash_arrays(arrays))
    if arrays["x0"].shape != (len(block), *manifest.shape):
        raise DamagedError(f"it holds images of shape {arrays['x0'].shape[1:]}")
    return BlockImages(block, arrays["x0"], arrays.get("labels"))


def _write_pictures(path: Path, manifest: Manifest, images: BlockImages) -> None:
    """A folder of PNGs and of what they are: filled under another name, then renamed."""
    temporary = Path()
    try:
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name[:40]}.", suffix=".tmp"))
        digest = hashlib.sha256()
        for number, pixels in zip(images.block.ids, to_pixels(images.x0, manifest.range), strict=True):
            place = temporary / name_picture(number)
            with place.open("wb") as file:
                Image.fromarray(pixels).save(file, "PNG")
            _add_file(digest, place)
        labels = None if images.labels is None else images.labels.tolist()
        digest.update(json.dumps(labels).encode())
        about = _describe(manifest, images.block, digest.hexdigest()) | {"labels": labels}
        (temporary / INDEX).write_text(json.dumps(about) + "\n", encoding="utf-8")
        for place in sorted(temporary.iterdir()):
            with place.open("rb+") as file:
                os.fsync(file.fileno())
        temporary.chmod(0o755)
        if path.exists():  # another run has written the same block in the meantime
            return
        temporary.rename(path)
    except OSError as error:
        raise make_write_error(path, error) from error
    finally:
        if temporary.name:
            shutil.rmtree(temporary, ignore_errors=True)


def name_picture(number: int) -> str:
    """The file of the picture with this id; sorted as the ids are."""
    return f"{number:08d}.png"


def _add_file(digest: Any, path: Path) -> None:
    digest.update(path.name.encode() + b"\0" + path.read_bytes())


def _read_pictures(path: Path, manifest: Manifest, block: Block) -> BlockImages:
    about = bounded_reading.read_json(path / INDEX)
    labels = about.pop("labels", None) if isinstance(about, dict) else None
    digest, pixels = hashlib.sha256(), []
    for number in block.ids:
        place = path / name_picture(number)
        _add_file(digest, place)
        with Image.open(place) as picture:
            pixels.append(np.asarray(picture.convert("RGB")))
    digest.update(json.dumps(labels).encode())
    _require_same(about, manifest, block, digest.hexdigest())
    return BlockImages(block, np.stack(pixels), None if labels is None else np.array(labels, np.int64))


def remove_block(path: Path) -> None:
    """Remove a damaged block, which somebody has asked for."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
