"""An autoencoder of diffusers as a checkpoint holds it beside its network: its class, its config and its weights."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dtool.errors import DtoolError, UsageError
from dtool.models import weight_file

if TYPE_CHECKING:
    from torch import Tensor, nn

KINDS = ("AutoencoderKL", "AutoencoderTiny")
MOST, MOST_LAYERS = 1 << 16, 64  # a number in a config, and the layers of a block, before anything is built of them
MOST_ENTRIES = 64  # of a list in a config
_ANEW = "use the file as dtool wrote it"


@dataclass(frozen=True, kw_only=True)
class Autoencoder:
    """The class of diffusers, what its constructor is told, as JSON holds it, and its weights in float32."""

    kind: str
    config: dict[str, Any]
    state_dict: dict[str, Tensor]

    @classmethod
    def of(cls, module: Any) -> Autoencoder:
        """That of an autoencoder in memory."""
        known = inspect.signature(type(module).__init__).parameters
        config = {name: value for name, value in module.config.items() if name in known}
        state = {name: value.detach().cpu().float().contiguous() for name, value in module.state_dict().items()}
        return cls(kind=type(module).__name__, config=json.loads(json.dumps(config)), state_dict=state)

    @classmethod
    def read(cls, about: Any, state: Any, source: str) -> Autoencoder:
        """That of a checkpoint's `{"kind": …, "config": …}` and tensors; raises DtoolError for what cannot be one."""
        known = isinstance(about, Mapping) and about.get("kind") in KINDS and isinstance(about.get("config"), dict)
        if not known or not isinstance(state, dict):
            raise DtoolError(f"{source}: its autoencoder is of a kind this version does not know", _ANEW)
        for name, value in _list_numbers(about["config"]):
            if abs(value) > (MOST_LAYERS if name.endswith(("layers_per_block", "blocks")) else MOST):
                raise DtoolError(f"{source}: the autoencoder's config: {name} is {value:g}", _ANEW)
        weight_file.require_numbers(state, source)
        return cls(kind=about["kind"], config=about["config"], state_dict=state)

    def describe(self) -> dict[str, Any]:
        """What `read` takes beside the tensors."""
        return {"kind": self.kind, "config": self.config}

    def build(self, source: str) -> nn.Module:
        """The autoencoder with its weights, in eval mode on the CPU, without gradients.

        source: where it comes from, for errors. Raises DtoolError if diffusers is missing, or the weights don't fit.
        """
        import torch

        require_diffusers(f"decode what {source} samples")
        made = getattr(importlib.import_module("diffusers"), self.kind)
        known = inspect.signature(made.__init__).parameters
        settings = {name: value for name, value in self.config.items() if name in known}
        try:
            with torch.device("meta"):  # its weights take no memory until they are known to be those of the file
                module: nn.Module = made.from_config(settings)
        except Exception as error:  # whatever a constructor stumbles over
            why = " ".join(str(error).split())[: weight_file.MAX_WORDS]
            raise DtoolError(f"{source}: diffusers makes no {self.kind} of its config ({why})", _ANEW) from error
        weight_file.require_fit(module.state_dict(), self.state_dict, source, _ANEW)
        module.load_state_dict(self.state_dict, assign=True)
        return module.eval().requires_grad_(False)

    def choose_latent_shape(self, picture_shape: tuple[int, ...], source: str) -> tuple[int, ...]:
        """The latents' shape for pictures `(C, H, W)`; raises UsageError, with what would fit, for those that do not.

        source: the autoencoder's name in errors.
        """
        channels, factor = self.config.get("in_channels", 3), get_factor(self.config)
        if picture_shape[0] != channels:
            kinds = {1: "grey", 3: "in colour"}
            own, other = (kinds.get(n, f"of {n} channels") for n in (picture_shape[0], channels))
            raise UsageError(
                f"{source} encodes pictures {other}, and these are {own}",
                "train a codec on pictures of their kind: dtool train-codec",
            )
        height, width = picture_shape[1:]
        if height % factor or width % factor:
            fitting = "x".join(str(max(factor, factor * round(n / factor))) for n in (height, width))
            raise UsageError(
                f"{source} makes one latent of {factor}x{factor} pixels, and the pictures have {height}x{width}",
                f"give --size {fitting}, or another multiple of {factor}",
            )
        return (self.config.get("latent_channels", 4), height // factor, width // factor)

    def compute_fingerprint(self) -> int:
        """A checksum of the config and the weights."""
        total = zlib.crc32(json.dumps(self.describe(), sort_keys=True).encode())
        for name, value in sorted(self.state_dict.items()):
            total = zlib.crc32(value.numpy().tobytes(), zlib.crc32(name.encode(), total))
        return total


def require_diffusers(purpose: str) -> None:
    """Raise DtoolError unless diffusers is installed."""
    if importlib.util.find_spec("diffusers") is None:
        raise DtoolError(f"diffusers is needed to {purpose}", "pip install 'dtool-diffusion[diffusers]'")


def get_factor(config: Mapping[str, Any]) -> int:
    """How many pixels, along a side, one latent is."""
    blocks = config.get("block_out_channels") or config.get("decoder_block_out_channels") or (1,)
    return int(2 ** (len(blocks) - 1))


def _list_numbers(value: Any, name: str = "config") -> Iterator[tuple[str, float]]:
    """Every number in a config, with the name of what it stands under; the length of a list that is too long, too."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _list_numbers(each, str(key))
    elif isinstance(value, list | tuple):
        if len(value) > MOST_ENTRIES:
            yield name, float("inf")
        for each in value[:MOST_ENTRIES]:
            yield from _list_numbers(each, name)
    elif isinstance(value, int | float):
        yield name, float(value)
