"""A network's graph as a file; weights that are more than a file holds lie beside it, in `NAME.onnx.data`."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import onnx

from dtool.errors import DtoolError
from dtool.export.size_limit import is_large
from dtool.util.files import make_write_error, write_atomically, write_scratch_file
from dtool.util.text import get_first_line

CHUNK = 1 << 24  # bytes
MIN_OUTSIDE = 512  # bytes of a tensor; what a shape is computed from stays inside


def locate_weights_file(path: Path) -> Path:
    """Where the weights of the large network `path` lie."""
    return path.with_name(f"{path.name}.data")


@contextlib.contextmanager
def write_for_check(proto: onnx.ModelProto, path: Path) -> Iterator[Path]:
    """The network's file before it is written to `path`, for as long as it is compared."""
    if is_large(proto):
        with _write_in_two(proto, path) as file:
            yield file
        return
    with write_scratch_file(".onnx", proto.SerializeToString(deterministic=True), str(path)) as file:
        yield file


def write_network(proto: onnx.ModelProto, path: Path) -> int:
    """Write the file, and its weights beside it if they are too many; both, or neither. Returns the bytes of all."""
    if not is_large(proto):
        content: bytes = proto.SerializeToString(deterministic=True)
        write_atomically(path, lambda temporary: temporary.write_bytes(content))
        return len(content)
    weights, new = locate_weights_file(path), not locate_weights_file(path).exists()
    with _write_in_two(proto, path) as made:

        def write(temporary: Path) -> None:
            temporary.write_bytes(made.read_bytes())
            write_atomically(weights, lambda other: _copy(locate_weights_file(made), other))

        try:
            write_atomically(path, write)
        except BaseException:
            if new:
                weights.unlink(missing_ok=True)
            raise
    return path.stat().st_size + weights.stat().st_size


@contextlib.contextmanager
def _write_in_two(proto: onnx.ModelProto, path: Path) -> Iterator[Path]:
    """Both files, under the names that they will have, in a folder of their own beside `path`; checked by onnx."""
    own = onnx.ModelProto()
    own.CopyFrom(proto)  # what is saved so loses its weights
    try:
        folder = tempfile.TemporaryDirectory(prefix=".dtool-", dir=path.parent, ignore_cleanup_errors=True)
    except OSError as error:
        raise make_write_error(path, error) from error
    with folder as name:
        file = Path(name, path.name)
        try:
            onnx.save_model(
                own,
                file,
                save_as_external_data=True,
                location=locate_weights_file(path).name,
                size_threshold=MIN_OUTSIDE,
            )
        except OSError as error:
            raise make_write_error(path, error) from error
        try:
            onnx.checker.check_model(str(file), full_check=True)
        except Exception as error:  # the checker and its shape inference have errors of their own
            reason = get_first_line(error)
            raise DtoolError(f"the graph is not valid ({reason})", "report this with the network's module") from error
        yield file


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as read, target.open("wb") as write:
        while part := read.read(CHUNK):
            write.write(part)
