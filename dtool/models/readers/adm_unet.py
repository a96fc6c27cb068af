"""OpenAI's U-Net of guided-diffusion, told from the shapes of its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dtool.errors import DtoolError
from dtool.models.readers.opening import import_package
from dtool.models.readers.torch_weights import require_shape

MAX_BLOCKS = 1000
_SAVE = "save the whole state dict of the U-Net"


@dataclass(frozen=True, kw_only=True)
class UNetShape:
    """What the shapes of the weights show. attention: by what images are shrunk where there is attention."""

    num_channels: int
    in_channels: int
    out_channels: int
    num_res_blocks: int
    channel_mult: tuple[float, ...]
    attention: tuple[int, ...]
    classes: int
    use_scale_shift_norm: bool
    resblock_updown: bool

    @property
    def learned_variance(self) -> bool:
        """Whether the output has a second half, for the variance."""
        return self.out_channels == 2 * self.in_channels

    @property
    def downsampling(self) -> int:
        """By what the sizes of images are divided on the way down."""
        return int(2 ** (len(self.channel_mult) - 1))


def read_unet_shape(weights: Mapping[str, Any], path: Path) -> UNetShape:
    """The U-Net whose weights these are; raises DtoolError where they are of none."""
    base = require_shape(weights, "time_embed.0.weight", 2, path)[1]
    inputs = require_shape(weights, "input_blocks.0.0.weight", 4, path)[1]
    outputs = require_shape(weights, "out.2.weight", 4, path)[0]
    if outputs not in (inputs, 2 * inputs):
        raise DtoolError(f"{path}: the U-Net makes {outputs} channels of {inputs}", "give an unconditional network's")
    downs, ups = _count_blocks(weights, "input_blocks"), _count_blocks(weights, "output_blocks")
    names = frozenset(map(str, weights))
    rising = [i for i in range(ups) if _find_upsampler(names, i) is not None]
    levels = len(rising) + 1
    if ups % levels or downs != ups:
        raise DtoolError(f"{path}: {downs} blocks down, {ups} up and {levels} levels do not make a U-Net", _SAVE)
    repeats = ups // levels - 1
    kinds = {_find_upsampler(names, i) for i in rising}
    if repeats < 1 or len(kinds) > 1:
        raise DtoolError(f"{path}: the levels of the U-Net are not alike", _SAVE)
    multiples, attention = _read_levels(weights, base, levels, repeats, path)
    emb = require_shape(weights, "middle_block.0.emb_layers.1.weight", 2, path)[0]
    wide = require_shape(weights, "middle_block.0.in_layers.2.weight", 4, path)[0]
    classes = require_shape(weights, "label_emb.weight", 2, path)[0] if "label_emb.weight" in weights else 0
    return UNetShape(
        num_channels=base, in_channels=inputs, out_channels=outputs, num_res_blocks=repeats, channel_mult=multiples,
        attention=attention, classes=classes, use_scale_shift_norm=emb == 2 * wide,
        resblock_updown=kinds == {"block"},
    )  # fmt: skip


def _count_blocks(weights: Mapping[str, Any], name: str) -> int:
    numbers = {part[1] for key in weights if (part := str(key).split("."))[0] == name and len(part) > 2}
    return sum(number.isdecimal() and int(number) < MAX_BLOCKS for number in numbers)


def _find_upsampler(names: frozenset[str], block: int) -> str | None:
    """How a block of the way up ends in a larger image: "conv" or another residual "block"; None if it does not."""
    for layer in (1, 2):
        if f"output_blocks.{block}.{layer}.conv.weight" in names:
            return "conv"
        if f"output_blocks.{block}.{layer}.in_layers.2.weight" in names:
            return "block"
    return None


def _read_levels(
    weights: Mapping[str, Any], base: int, levels: int, repeats: int, path: Path
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """The multiples of the first width that the levels have, and by what images are shrunk where there is attention."""
    multiples, attention = [], []
    for level in range(levels):
        first = 1 + level * (repeats + 1)
        width = require_shape(weights, f"input_blocks.{first}.0.out_layers.3.weight", 4, path)[0]
        multiples.append(width / base)
        if f"input_blocks.{first}.1.qkv.weight" in weights:
            attention.append(2**level)
    return tuple(multiples), tuple(attention)


def make_unet(shape: UNetShape, image_size: int, heads: Mapping[str, Any]) -> Any:
    """The U-Net as azula has it; heads: num_heads and the like. Raises DtoolError where azula is not installed."""
    adm = import_package("azula.plugins.adm", "azula", "build the U-Net of this checkpoint")
    return adm.unet.UNetModel(
        image_size=image_size, in_channels=shape.in_channels, model_channels=shape.num_channels,
        out_channels=shape.out_channels, num_res_blocks=shape.num_res_blocks,
        attention_resolutions=set(shape.attention),
        channel_mult=tuple(each + 1e-9 for each in shape.channel_mult),  # it is cut off to whole channels
        num_classes=shape.classes or None, use_scale_shift_norm=shape.use_scale_shift_norm,
        resblock_updown=shape.resblock_updown, **heads,
    )  # fmt: skip
