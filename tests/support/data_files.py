"""Files of images, sound and damaged, and what DATA refuses."""

import gzip
import io
import os
import socket
import struct
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dtool.data.images import Images, load
from dtool.errors import DtoolError


def picture(path: Path, size: tuple[int, int] = (6, 5), mode: str = "L", value: int = 0) -> np.ndarray:
    """Write an image of `size` (H, W) in random greys or colours; returns its pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(value)
    array = rng.integers(0, 256, (*size, len(mode)) if len(mode) > 1 else size, dtype=np.uint8)
    Image.fromarray(array).save(path)
    return array


def raw_idx(path: Path, shape: tuple[int, ...], body: bytes) -> Path:
    """An IDX file whose header says `shape`, whatever its body is."""
    data = struct.pack(f">4B{len(shape)}I", 0, 0, 8, len(shape), *shape) + body
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def idx(path: Path, array: np.ndarray) -> Path:
    return raw_idx(path, array.shape, array.astype(np.uint8).tobytes())


GREY = np.arange(30, dtype=np.uint8).reshape(5, 6) * 8


def refused(source: Path, **options: object) -> DtoolError:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(DtoolError) as caught:
            load(str(source), **options)  # type: ignore[arg-type]
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    return caught.value


def pictures(folder: Path, count: int = 2) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        Image.fromarray(GREY + np.uint8(i)).save(folder / f"{i}.png")
    return folder


def sparse(path: Path, size: int, start: bytes = b"") -> Path:
    """A file that says it has `size` bytes, and takes no room on the disk."""
    path.write_bytes(start)
    with path.open("r+b") as file:
        file.truncate(size)
    return path


def png(path: Path, width: int, height: int, colour: int = 0) -> Path:
    """A whole PNG of a few hundred kilobytes at most, that is black."""
    channels = {0: 1, 2: 3}[colour]
    packer = zlib.compressobj(1)
    body = b"".join(packer.compress(bytes(1 + width * channels)) for _ in range(height)) + packer.flush()
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)), (b"IDAT", body), (b"IEND", b"")]
    data = b"".join(
        struct.pack(">I", len(text)) + name + text + struct.pack(">I", zlib.crc32(name + text)) for name, text in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    return path


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=False)
    return file.getvalue()


def declared(shape: str, dtype: str = "|u1", body: bytes = b"") -> bytes:
    """A .npy whose header says what it likes."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body


def archive(path: Path, method: int = zipfile.ZIP_STORED, **entries: bytes) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in entries.items():
            file.writestr(f"{name}.npy", data)
    return path


def fifo(path: Path) -> str:
    os.mkfifo(path)
    return "a FIFO"


def listening(path: Path) -> str:
    with socket.socket(socket.AF_UNIX) as made:
        os.chdir(path.parent)  # the address of a socket is short
        made.bind(path.name)
    return "a socket"


def device(path: Path) -> str:
    path.symlink_to("/dev/zero")
    return "a device"


BYTES = np.stack([GREY, GREY + np.uint8(1), GREY + np.uint8(2)])


def said(source: Path, **options: object) -> tuple[Images, str]:
    """What is read, and all that is said of it, without the name of what is read."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        images = load(str(source), **options)  # type: ignore[arg-type]
    return images, "; ".join(str(each.message).removeprefix(f"{source}: ") for each in caught)


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path
