"""The weights of one part of a diffusers folder: safetensors, or `.bin` without code, in one file or several."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dtool.errors import DtoolError
from dtool.models import weight_file
from dtool.models.readers.diffusers_index import WHOLE, read_config, require_inside

STEMS = ("diffusion_pytorch_model", "model", "pytorch_model")
MAX_SHARDS = 1000


def read_weights(root: Path, folder: Path) -> dict[str, Tensor]:
    """The tensors of a part by name; safetensors before `.bin`, full precision before a variant such as fp16.

    Raises DtoolError for weights that are missing, damaged, outside `root`, or that would run code.
    """
    state: dict[str, Tensor] = {}
    for path in find_weights(root, folder):
        require_inside(root, path)
        state.update(_read_tensors(path))
    return state


def find_weights(root: Path, folder: Path) -> list[Path]:
    """The files that hold a part's weights: one, or those that an index file names."""
    names = sorted(path.name for path in folder.iterdir())
    for suffix in ("safetensors", "bin"):
        for stem in STEMS:
            for name in _order(names, rf"{stem}(\.(?P<variant>\w+))?\.{suffix}"):
                return [folder / name]
            for name in _order(names, rf"{stem}\.{suffix}\.index(\.(?P<variant>\w+))?\.json"):
                return _list_shards(root, folder / name)
    raise DtoolError(f"there are no weights in {folder}", f"put {STEMS[0]}.safetensors there; or {WHOLE}")


def _order(names: list[str], pattern: str) -> list[str]:
    """The names that match, that without a variant first."""
    found = [match for name in names if (match := re.fullmatch(pattern, name))]
    return [match[0] for match in sorted(found, key=lambda match: match["variant"] or "")]


def _list_shards(root: Path, index: Path) -> list[Path]:
    shards = read_config(root, index).get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise DtoolError(f"{index}: it has no weight_map", WHOLE)
    names = sorted({str(name) for name in shards.values()})
    for name in names:
        if not re.fullmatch(r"[\w.-]+\.(safetensors|bin)", name) or len(names) > MAX_SHARDS:
            raise DtoolError(f"{index}: it names {name[:60]!r}, which is no file of weights beside it", WHOLE)
        if not (index.parent / name).exists():
            raise DtoolError(f"{index} names {name}, and there is no such file", WHOLE)
    return [index.parent / name for name in names]


def _read_tensors(path: Path) -> dict[str, Tensor]:
    content = weight_file.read_content(path, remedy="save the weights as safetensors: pipeline.save_pretrained(…)")
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise weight_file.make_damage_error(path, "it holds something other than tensors")
    return content


def build_module(make: Callable[[], nn.Module], state: dict[str, Tensor], source: Path) -> nn.Module:
    """The module that `make` makes, with the weights in `state`, in float32, in eval mode, without gradients.

    It is made without memory first, and its shapes compared: raises DtoolError if the weights are not its own, or
    not finite.
    """
    with torch.device("meta"):
        module = make()
    rename: Any = getattr(module, "_fix_state_dict_keys_on_load", None)  # files of before diffusers 0.13
    if rename is not None:
        rename(state)
    remedy = f"config.json and the weights belong to different networks: {WHOLE}"
    weight_file.require_fit(module.state_dict(), state, source, remedy)
    if any(buffer.is_meta for name, buffer in module.named_buffers() if name not in state):
        _take_buffers(module, make)  # before the weights of the file are touched, which takes as much memory again
    weight_file.require_numbers(state, source)
    floats = {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
    module.load_state_dict(floats, assign=True)
    return module.eval().requires_grad_(False)


def _take_buffers(module: nn.Module, make: Callable[[], nn.Module]) -> None:
    """Give a module without memory the buffers that it makes by itself, which are not in the file."""
    with torch.random.fork_rng(devices=[]):
        made = make()
    for (name, own), part in zip(made.named_modules(), module.modules(), strict=True):
        for key, buffer in own.named_buffers(recurse=False):
            assert type(part) is type(own), f"{name}: made twice alike"
            setattr(part, key, buffer)
