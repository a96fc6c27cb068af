"""Weights in files that PyTorch wrote for other libraries: what they hold is seen without loading them, and safely."""

from __future__ import annotations

import json
import pickletools
import re
import zipfile
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from dtool.errors import DtoolError
from dtool.models import pt_archive, weight_file
from dtool.util import bounded_reading
from dtool.util.text import get_first_line

SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors")
MAX_INDEX_BYTES = 1 << 26  # of a pickle or a header: names and sizes alone
STRINGS = {"BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE"}


def list_keys(source: Any) -> frozenset[str]:
    """The names in a file of weights: keys of its dicts, names of its tensors; empty for whatever is no such file.

    Nothing is loaded and nothing called: of a .pt the strings of its pickle are listed, of a .safetensors its header.
    """
    if not isinstance(source, Path) or source.suffix.lower() not in SUFFIXES or not source.is_file():
        return frozenset()
    status = source.stat()
    return _list_keys(source, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=16)
def _list_keys(path: Path, _time: int, size: int) -> frozenset[str]:
    try:
        with bounded_reading.open_file(path) as file:
            start = file.read(8)
            if not start.startswith(pt_archive.ZIP):
                length = int.from_bytes(start, "little")
                fits = weight_file.is_safetensors(path) and length <= min(size, MAX_INDEX_BYTES)
                return frozenset(json.loads(file.read(length))) if fits else frozenset()
            with zipfile.ZipFile(file) as archive:
                entry = next(e for e in archive.infolist() if re.fullmatch(r"[^/]*/data\.pkl", e.filename))
                if entry.file_size > min(size, MAX_INDEX_BYTES):
                    return frozenset()
                pickled = archive.read(entry)
            return frozenset(str(value) for code, value, _ in pickletools.genops(pickled) if code.name in STRINGS)
    except Exception:  # whatever a parser meets in a file that is none of these
        return frozenset()


def read_content(path: Path) -> dict[str, Any]:
    """What a .pt holds, or the tensors of a .safetensors by name; no code of the file is run.

    Raises DtoolError for a file that is missing, damaged or unsafe, UsageError if there is no memory for it.
    """
    content = weight_file.read_content(path)
    if not isinstance(content, dict):
        raise DtoolError(f"{path} holds a {type(content).__name__}, not weights by name", "save a state dict")
    return content


def select(state: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The entries whose names begin with `prefix`, without it."""
    return {name[len(prefix) :]: value for name, value in state.items() if str(name).startswith(prefix)}


def require_shape(state: Mapping[str, Any], name: str, dimensions: int, path: Path) -> tuple[int, ...]:
    """The shape of a tensor that must be there; raises DtoolError if it is not, or of another number of dimensions."""
    shape = getattr(state.get(name), "shape", None)
    if shape is None or len(shape) != dimensions or 0 in shape:
        what = "is not there" if shape is None else f"has the shape {tuple(shape)}"
        raise DtoolError(f"{path}: {name} {what}, so that the network cannot be told", "save the whole state dict")
    return tuple(shape)


def fit_weights(make: Callable[[], Any], state: Mapping[str, Any], path: Path, remedy: str) -> Any:
    """The module that `make` makes, with these weights in float32, in eval mode; raises DtoolError if they don't fit.

    It is made without memory first. remedy: what to do about weights that are another network's.
    """
    import torch

    weight_file.require_numbers(state, path)
    with torch.device("meta"):
        module = _call(make, path, remedy)
    weight_file.require_fit(module.state_dict(), state, path, remedy)
    own = {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
    module.load_state_dict(own, assign=True)
    return module.eval().requires_grad_(False)


def _call(make: Callable[[], Any], path: Path, remedy: str) -> Any:
    try:
        return make()
    except DtoolError:
        raise
    except Exception as error:  # what a foreign constructor thinks of its arguments
        reason = get_first_line(error, weight_file.MAX_WORDS)
        raise DtoolError(f"{path}: there is no network of such weights ({reason})", remedy) from error
