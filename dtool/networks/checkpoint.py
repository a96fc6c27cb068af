"""Write and read checkpoints: `.pt` (what training needs to go on, too) and `.safetensors` (weights and description).

A `.pt` is `torch.save` of a plain dict that `torch.load(weights_only=True)` reads; nothing here ever loads a file in
any other way. Both hold the same description: a format number, the `NetworkSpec` and the network's configuration.
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import safetensors.torch
import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn, serialization

from dtool import bounded
from dtool.errors import DtoolError, UsageError
from dtool.files import write_atomically
from dtool.networks import archive
from dtool.networks.spec import NetworkSpec
from dtool.networks.unet import UNet, UNetConfig
from dtool.options import complaint
from dtool.version import __version__

FORMAT = 1
KEY = "dtool"  # of the metadata in a .safetensors
COPIES = 3  # of a file that are in memory at a time: what is read, the network's weights, and those of a run
SUFFIXES = (".pt", ".safetensors")
FOREIGN = (
    "weights alone do not say what network they are of: name a function that makes it, as package.module:factory, "
    "or export it to ONNX"
)


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds: `spec`, the network's `kind` and `config`, its weights, and what `--resume` needs, if kept."""

    source: str
    spec: NetworkSpec
    kind: str
    config: dict[str, Any]
    state_dict: dict[str, Tensor]
    training: dict[str, Any] | None = None

    def build(self) -> nn.Module:
        """The network with its weights, in eval mode on the CPU, without gradients; `DtoolError` if they don't fit."""
        network = _empty(self.kind, self.config, self.source)
        own, said = (network.config.channels, network.config.classes), (self.spec.shape[0], self.spec.classes)
        if own != said or len(self.spec.shape) != 3:
            raise DtoolError(
                f"{self.source}: the network has {own[0]} channels and {own[1]} classes, and is described otherwise",
                "use the file as dtool wrote it",
            )
        result = _fit(network, self.state_dict, self.source)
        return result.eval().requires_grad_(False)


def save(
    path: Path | str,
    *,
    spec: NetworkSpec,
    config: UNetConfig,
    state_dict: Mapping[str, Tensor],
    training: Mapping[str, Any] | None = None,
) -> Path:
    """Write a checkpoint; the suffix chooses the format. The old file stays until the new one is complete.

    Raises `DtoolError` if the weights are not finite or the file can't be written; then nothing is left behind.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise UsageError(f"{path}: unknown kind of checkpoint", "end its name in .pt or .safetensors")
    weights = {name: value.detach().cpu().contiguous() for name, value in state_dict.items()}
    _require_finite(weights, str(path))
    network = {"kind": "unet", "config": config.model_dump(mode="json")}
    about = {"format": FORMAT, "dtool": __version__, "spec": spec.model_dump_json(), "network": network}
    if path.suffix == ".pt":
        content = {**about, "state_dict": weights, "training": dict(training or {})}
        # through memory: torch's own file writer hides why the disk refused
        buffer = io.BytesIO()
        torch.save(content, buffer)
        data: bytes | memoryview = buffer.getbuffer()
    else:
        # one key alone: the library writes several in an order of its own, another one each time
        data = safetensors.torch.save(weights, metadata={KEY: json.dumps(about)})
    write_atomically(path, lambda temporary: temporary.write_bytes(data))
    return path


def read(path: Path | str) -> Checkpoint:
    """Read a checkpoint, running no code from it.

    Raises `DtoolError` for a file that is missing, truncated, foreign, newer than this version, or has NaN in it.
    """
    path = Path(path)
    if not path.exists():
        raise DtoolError(f"{path}: there is no such file", "give the path of a checkpoint that `dtool train` wrote")
    bounded.require_room_for(path, COPIES)
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pt(path)
    _require_format(content, path)
    network, state = content["network"], content["state_dict"]
    spec = NetworkSpec.read(content["spec"], str(path))
    _require_finite(state, str(path))
    return Checkpoint(str(path), spec, network["kind"], network["config"], state, content.get("training") or None)


def _read_pt(path: Path) -> dict[str, Any]:
    with bounded.opened(path) as file:
        begins_as_zip = file.read(4) == b"PK\x03\x04"
        file.seek(0)
        named = _names(file, path)
    if named and (not begins_as_zip or serialization.get_unsafe_globals_in_checkpoint(path)):
        raise DtoolError(f"{path}: refused, because loading it would run code that comes with the file", FOREIGN)
    if named or not begins_as_zip:  # PyTorch would call some names, and some of them take any amount of memory
        raise _foreign(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch thinks of a foreign pickle's protocol
            content = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # whatever it meets; its own words ask to be reported to PyTorch
        raise _damaged(path, "PyTorch cannot load it") from error
    if not isinstance(content, dict):
        raise _foreign(path)
    return content


def _names(file: BinaryIO, path: Path) -> list[str]:
    try:
        return archive.names(file)
    except archive.ArchiveError as error:
        raise _damaged(path, str(error)) from error


def _read_safetensors(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, framework="pt") as file:
            about = bounded.parsed((file.metadata() or {}).get(KEY, "null"), str(path))
            if not isinstance(about, dict):
                raise _foreign(path)
            return {**about, "state_dict": {name: file.get_tensor(name) for name in file.keys()}}  # noqa: SIM118 - not a dict
    except (SafetensorError, ValueError) as error:
        raise _damaged(path, _line(error)) from error


def _require_format(content: dict[str, Any], path: Path) -> None:
    number = content.get("format")
    if not isinstance(number, int) or not {"spec", "network", "state_dict"} <= content.keys():
        raise _foreign(path)
    if number > FORMAT:
        raise DtoolError(
            f"{path}: written by dtool {content.get('dtool', '?')} in format {number}; this version reads {FORMAT}",
            "pip install -U dtool-diffusion",
        )
    network, state = content["network"], content["state_dict"]
    if not isinstance(network, dict) or not {"kind", "config"} <= network.keys() or not isinstance(state, dict):
        raise _foreign(path)
    if not isinstance(content["spec"], str):
        raise _foreign(path)


def _require_finite(state: Mapping[str, Tensor], source: str) -> None:
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise DtoolError(f"{source}: {name} is not a tensor", "train or export the network again")
        if value.layout != torch.strided or value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise DtoolError(
                f"{source}: {name} stands for more numbers than the file holds", "train or export the network again"
            )
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise DtoolError(
                f"{source}: the weights hold NaN or infinity (in {name})",
                "training diverged or the file is damaged: use an earlier checkpoint, or train with a lower --lr",
            )


def _empty(kind: str, config: dict[str, Any], source: str) -> UNet:
    if kind != "unet":
        raise DtoolError(
            f"{source}: the network is of a kind this version does not know, {kind!r}",
            "update dtool, or load the network by its own code: package.module:factory",
        )
    try:
        parsed = UNetConfig.model_validate(config)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "as a whole"
        raise DtoolError(
            f"{source}: the network's configuration is not valid ({where}: {complaint(first)})",
            "train the model again with this version of dtool",
        ) from error
    with torch.device("meta"):  # its weights take no memory until they are known to be those of the file
        return UNet(parsed)


def _fit(network: nn.Module, state: dict[str, Tensor], source: str) -> nn.Module:
    """`network`, which has no memory yet, with the weights in `state`; raises DtoolError if they do not fit."""
    expected = {name: value.shape for name, value in network.state_dict().items()}
    missing, extra = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    wrong = [name for name in expected.keys() & state.keys() if expected[name] != state[name].shape]
    for what, names in (("lacks", missing), ("has an unknown", extra), ("has the wrong shape for", sorted(wrong))):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise DtoolError(
                f"{source}: the state dict {what} {names[0]}{more}",
                "the weights and the configuration belong to different networks: use the file as dtool wrote it",
            )
    network.to_empty(device="cpu").load_state_dict(state)
    return network


def _foreign(path: Path) -> DtoolError:
    return DtoolError(
        f"{path}: this is not a checkpoint of dtool",
        FOREIGN,
    )


def _damaged(path: Path, why: str) -> DtoolError:
    return DtoolError(f"{path}: the file is damaged ({why})", "copy or download it again")


def _line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:120] if text else type(error).__name__
