"""Write and read checkpoints: `.pt` (what training needs to go on, too) and `.safetensors` (weights and description).

A `.pt` is `torch.save` of a plain dict that `torch.load(weights_only=True)` reads; nothing here ever loads a file in
any other way. Both hold the same description: a format number, the `NetworkSpec` and the network's configuration. Of a
network of latents both hold the autoencoder, too, so that one file samples pictures; they are then of format 2.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from dtool.errors import DtoolError, UsageError
from dtool.models import weight_file
from dtool.models.autoencoder import Autoencoder
from dtool.models.diffusers_codec import DiffusersCodec
from dtool.models.spec import NetworkSpec
from dtool.models.text_reference import TextReference
from dtool.models.unet import UNet, UNetConfig
from dtool.util import bounded_reading
from dtool.util.files import write_atomically
from dtool.util.options import describe_mistake
from dtool.util.text import get_first_line
from dtool.version import __version__

PLAIN_FORMAT, FORMAT = 1, 2  # without and with an autoencoder; the newest that is read
KEY = "dtool"  # of the metadata in a .safetensors
CODEC_STATE = "codec_state_dict"  # of a .pt
CODEC_PREFIX = "codec/"  # of the autoencoder's tensors in a .safetensors
SUFFIXES = (".pt", ".safetensors")
FOREIGN_HINT = (
    "weights alone do not say what network they are of: name a function that makes it, as package.module:factory, "
    "or export it to ONNX"
)


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What a file holds: `spec`, the network's `kind` and `config`, its weights, and what `--resume` needs, if kept.

    codec: the autoencoder of a network that samples latents. text: the sentence encoder that it was trained with.
    """

    source: str
    spec: NetworkSpec
    kind: str
    config: dict[str, Any]
    state_dict: dict[str, Tensor]
    training: dict[str, Any] | None = None
    codec: Autoencoder | None = None
    text: TextReference | None = None

    def build_codec(self, device: str) -> DiffusersCodec | None:
        """What decodes the network's latents, on `device`; None if it samples pictures. Errors as of `build`."""
        if self.codec is None:
            return None
        codec = DiffusersCodec(self.codec.build(self.source), self.spec.shape)
        codec.move(device)
        return codec

    def build(self) -> nn.Module:
        """The network with its weights, in eval mode on the CPU, without gradients; `DtoolError` if they don't fit."""
        network = _build_empty(self.kind, self.config, self.source)
        own, promised = (network.config.channels, network.config.classes), (self.spec.shape[0], self.spec.classes)
        self._require_conditions(network.config)
        if own != promised or len(self.spec.shape) != 3:
            raise DtoolError(
                f"{self.source}: the network has {own[0]} channels and {own[1]} classes, and is described otherwise",
                "use the file as dtool wrote it",
            )
        remedy = "the weights and the configuration belong to different networks: use the file as dtool wrote it"
        weight_file.require_fit(network.state_dict(), self.state_dict, self.source, remedy)
        network.to_empty(device="cpu").load_state_dict(self.state_dict)
        return network.eval().requires_grad_(False)

    def _require_conditions(self, config: UNetConfig) -> None:
        """Raise DtoolError unless the network takes the conditions, of the sizes, that the file says it does."""
        size = self.spec.shape[1:]
        own: dict[str, tuple[int, ...]] = {
            one.name: (one.channels, *(n // one.factor for n in size)) for one in config.pictures
        }
        own |= dict.fromkeys(config.numbers, ())
        own |= {} if config.text is None else {config.text.name: config.text.shape}
        told = own if self.text is None else {**own, self.text.name: self.text.shape}
        if told != own or own != {one.name: one.shape for one in self.spec.conditions}:
            raise DtoolError(
                f"{self.source}: the network takes {', '.join(own) or 'no conditions'}, and is described otherwise",
                "use the file as dtool wrote it",
            )


def save(
    path: Path | str,
    *,
    spec: NetworkSpec,
    config: UNetConfig,
    state_dict: Mapping[str, Tensor],
    training: Mapping[str, Any] | None = None,
    codec: Autoencoder | None = None,
    text: TextReference | None = None,
) -> Path:
    """Write a checkpoint; the suffix chooses the format. The old file stays until the new one is complete.

    codec: of a network that samples latents, what they are decoded by.
    Raises `DtoolError` if the weights are not finite or the file can't be written; then nothing is left behind.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise UsageError(f"{path}: unknown kind of checkpoint", "end its name in .pt or .safetensors")
    weights = {name: value.detach().cpu().contiguous() for name, value in state_dict.items()}
    weight_file.require_numbers(weights, path)
    optional = {"upscaling": config.upscaling, "text": config.text}
    unused = {name for name, value in optional.items() if value is None}  # older versions read such files, too
    network = {"kind": "unet", "config": config.model_dump(mode="json", exclude=unused)}
    about: dict[str, Any] = {
        "format": PLAIN_FORMAT, "dtool": __version__, "spec": spec.model_dump_json(), "network": network
    }  # fmt: skip
    if text is not None:
        about["text"] = text.model_dump(mode="json")
    if codec is not None:
        about |= {"format": FORMAT, "codec": codec.describe()}
    if path.suffix == ".pt":
        own = {} if codec is None else {CODEC_STATE: codec.state_dict}
        content = {**about, "state_dict": weights, **own, "training": dict(training or {})}
        # through memory: torch's own file writer hides why the disk refused
        buffer = io.BytesIO()
        torch.save(content, buffer)
        data: bytes | memoryview = buffer.getbuffer()
    else:
        if codec is not None:
            weights |= {CODEC_PREFIX + name: value for name, value in codec.state_dict.items()}
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
    content = _read_content(path)
    _require_format(content, path)
    network, state = content["network"], content["state_dict"]
    spec = NetworkSpec.read(content["spec"], str(path))
    weight_file.require_numbers(state, path)
    codec = content.get("codec")
    return Checkpoint(
        source=str(path), spec=spec, kind=network["kind"], config=network["config"], state_dict=state,
        training=content.get("training") or None, text=_read_text_reference(content.get("text"), path),
        codec=None if codec is None else Autoencoder.read(codec, content.get(CODEC_STATE), str(path)),
    )  # fmt: skip


def _read_text_reference(content: Any, path: Path) -> TextReference | None:
    if content is None:
        return None
    try:
        return TextReference.model_validate(content)
    except ValidationError as error:
        why = describe_mistake(error.errors()[0])
        raise DtoolError(
            f"{path}: what it says of its sentence encoder is not valid ({why})", "use the file as dtool wrote it"
        ) from error


def _read_content(path: Path) -> dict[str, Any]:
    """What a checkpoint says of itself, and its weights under `state_dict`; DtoolError if it says nothing."""
    if weight_file.is_safetensors(path):
        text = weight_file.read_metadata(path).get(KEY, "null")
        try:
            content = bounded_reading.parse_json(text, str(path))
        except ValueError as error:
            raise weight_file.make_damage_error(path, get_first_line(error, weight_file.MAX_WORDS)) from error
        if isinstance(content, dict):
            own, others = _split_tensors(weight_file.read_content(path))
            content |= {"state_dict": own, CODEC_STATE: others}
    else:
        content = weight_file.read_content(path, remedy=FOREIGN_HINT)
    if not isinstance(content, dict):
        raise _make_foreign_error(path)
    return content


def _split_tensors(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The tensors of the network, and those of the autoencoder."""
    own = {name: value for name, value in tensors.items() if not name.startswith(CODEC_PREFIX)}
    others = {name.removeprefix(CODEC_PREFIX): tensors[name] for name in tensors.keys() - own.keys()}
    return own, others


def _require_format(content: dict[str, Any], path: Path) -> None:
    number = content.get("format")
    if not isinstance(number, int) or not {"spec", "network", "state_dict"} <= content.keys():
        raise _make_foreign_error(path)
    if number > FORMAT:
        raise DtoolError(
            f"{path}: written by dtool {content.get('dtool', '?')} in format {number}; this version reads {FORMAT}",
            "pip install -U dtool-diffusion",
        )
    network, state = content["network"], content["state_dict"]
    if not isinstance(network, dict) or not {"kind", "config"} <= network.keys() or not isinstance(state, dict):
        raise _make_foreign_error(path)
    if not isinstance(content["spec"], str):
        raise _make_foreign_error(path)


def _build_empty(kind: str, config: dict[str, Any], source: str) -> UNet:
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
            f"{source}: the network's configuration is not valid ({where}: {describe_mistake(first)})",
            "train the model again with this version of dtool",
        ) from error
    with torch.device("meta"):  # its weights take no memory until they are known to be those of the file
        return UNet(parsed)


def _make_foreign_error(path: Path) -> DtoolError:
    return DtoolError(f"{path}: this is not a checkpoint of dtool", FOREIGN_HINT)
