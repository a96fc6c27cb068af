"""The folder that an autoencoder is written to, in diffusers' layout, and the state of its training beside it."""

from __future__ import annotations

import contextlib
import io
import shutil
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from dtool.errors import DtoolError, UsageError
from dtool.models import weight_file
from dtool.util.files import make_write_error, require_writable, write_atomically

CONFIG, WEIGHTS, STATE = "config.json", "diffusion_pytorch_model.safetensors", "training.pt"
ANEW = "begin a new run, with --force or another -o"


def check_folder(folder: Path, *, resume: bool, force: bool) -> None:
    """Raise DtoolError unless there is a run where one is to be continued, and none where one is to begin.

    A folder that holds anything else is refused, with `force` too.
    """
    if folder.suffix in (".safetensors", ".pt", ".onnx") or (folder.exists() and not folder.is_dir()):
        raise UsageError(f"{folder}: an autoencoder is a folder, of config and weights", "name a folder, such as codec")
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if resume and STATE not in names:
        raise DtoolError(f"--resume: there is no {folder / STATE}", "leave --resume out to begin a new run")
    if names and not (resume or force):
        raise UsageError(f"{folder} exists", "--resume continues it, --force replaces it")
    others = sorted(names - {CONFIG, WEIGHTS, STATE})
    if others:
        raise UsageError(f"{folder} holds other files ({others[0]})", "name a folder of its own")
    require_writable(folder / CONFIG if folder.exists() else folder)


def write_state(folder: Path, state: Mapping[str, Any]) -> None:
    """Write what `--resume` needs; the old file stays until the new one is complete. Raises WriteError."""
    _make(folder)
    buffer = io.BytesIO()  # torch's own file writer hides why the disk refused
    torch.save(dict(state), buffer)
    write_atomically(folder / STATE, lambda temporary: temporary.write_bytes(buffer.getbuffer()))


def read_state(folder: Path) -> dict[str, Any]:
    """What `write_state` wrote, running no code from it; raises DtoolError for anything else."""
    content = weight_file.read_content(folder / STATE)
    if not isinstance(content, dict) or not {"step", "config", "data", "network", "average"} <= content.keys():
        raise DtoolError(f"{folder / STATE} is no state of a training", ANEW)
    for part in ("network", "average"):
        weight_file.require_numbers(content[part], folder / STATE)
    return content


def write_autoencoder(folder: Path, network: Any) -> None:
    """Write an autoencoder by diffusers' own `save_pretrained`.

    Its config is taken away first and put there last: a folder that has one is whole. Raises WriteError.
    """
    weight_file.require_numbers(network.state_dict(), folder)
    _make(folder)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as name:
            place = Path(name)
            network.save_pretrained(place)
            with contextlib.suppress(FileNotFoundError):
                (folder / CONFIG).unlink()
            for part in (WEIGHTS, CONFIG):
                write_atomically(folder / part, partial(shutil.copyfile, place / part))
    except (OSError, SafetensorError) as error:
        raise make_write_error(folder, error) from error


def _make(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise make_write_error(folder, error) from error
