"""The U-Nets of denoising-diffusion-pytorch, told from the shapes of their weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dtool.errors import DtoolError
from dtool.models.readers.opening import import_package
from dtool.models.readers.torch_weights import require_shape

PACKAGE = "denoising-diffusion-pytorch"
GUIDED_HEADS = 4  # of the guided U-Net, whose weights do not show them: the default of the package


@dataclass(frozen=True, kw_only=True)
class UNetShape:
    """The arguments of a U-Net of the package. classes: 0 of one that has none."""

    dim: int
    init_dim: int
    dim_mults: tuple[int, ...]
    channels: int
    classes: int = 0
    self_condition: bool = False
    learned_variance: bool = False
    sinusoidal_dim: int = 0  # of learned or random frequencies; 0: they are fixed
    attn_heads: tuple[int, ...] = ()  # a number each level
    attn_dim_head: tuple[int, ...] = ()
    full_attn: tuple[bool, ...] = ()

    @property
    def downsampling(self) -> int:
        """By what the sizes of images are divided on the way down."""
        return int(2 ** (len(self.dim_mults) - 1))

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the weights do not show."""
        heads = f"attention has {GUIDED_HEADS} heads, the package's default"
        theta = "the frequencies of the time are of theta 10000, the package's default"
        return (*((heads,) if self.classes else ()), *(() if self.sinusoidal_dim else (theta,)))


def read_unet_shape(weights: Mapping[str, Any], path: Path) -> UNetShape:
    """The U-Net whose weights these are; raises DtoolError where they are of none."""
    init_dim, inputs, _, _ = require_shape(weights, "init_conv.weight", 4, path)
    outputs = require_shape(weights, "final_conv.weight", 4, path)[0]
    time_dim = require_shape(weights, "time_mlp.1.weight", 2, path)[0]
    frequencies = require_shape(weights, "time_mlp.0.weights", 1, path)[0] if "time_mlp.0.weights" in weights else 0
    dim, classes = max(1, time_dim // 4), 0
    if "classes_emb.weight" in weights:
        classes, dim = require_shape(weights, "classes_emb.weight", 2, path)
    self_condition, learned_variance = inputs == 2 * outputs, outputs == 2 * inputs
    if inputs != outputs and not self_condition and not learned_variance:
        raise DtoolError(f"{path}: the U-Net makes {outputs} channels of {inputs}", "give an unconditional network's")
    widths = _read_widths(weights, path)
    if any(width % dim for width in widths):
        raise DtoolError(f"{path}: its levels have {widths} channels, no multiples of {dim}", "save the weights again")
    shape: dict[str, Any] = {
        "dim": dim, "init_dim": init_dim, "dim_mults": tuple(width // dim for width in widths), "classes": classes,
        "channels": min(inputs, outputs), "self_condition": self_condition, "learned_variance": learned_variance,
        "sinusoidal_dim": 2 * frequencies,
    }  # fmt: skip
    attention = _read_guided_attention(weights, path) if classes else _read_attention(weights, len(widths), path)
    return UNetShape(**shape, **attention)


def _read_widths(weights: Mapping[str, Any], path: Path) -> list[int]:
    """The channels that each level ends with: those of its last convolution."""
    levels = {int(match[1]) for name in weights if (match := re.match(r"downs\.(\d{1,3})\.", str(name)))}
    if levels != set(range(len(levels))) or not levels:
        raise DtoolError(f"{path}: the levels of the U-Net are not complete", "save the weights again")
    names = [
        next((n for n in (f"downs.{i}.3.1.weight", f"downs.{i}.3.weight") if n in weights), f"downs.{i}.3.weight")
        for i in range(len(levels))
    ]
    return [require_shape(weights, name, 4, path)[0] for name in names]


def _read_attention(weights: Mapping[str, Any], levels: int, path: Path) -> dict[str, Any]:
    """Heads, their width and the kind of each level's attention; only the linear kind ends in a norm."""
    heads, dims, full = [], [], []
    for i in range(levels):
        count = require_shape(weights, f"downs.{i}.2.mem_kv", 4, path)[1]
        heads.append(count)
        dims.append(require_shape(weights, f"downs.{i}.2.to_qkv.weight", 4, path)[0] // (3 * count))
        full.append(f"downs.{i}.2.to_out.weight" in weights)
    return {"attn_heads": tuple(heads), "attn_dim_head": tuple(dims), "full_attn": tuple(full)}


def _read_guided_attention(weights: Mapping[str, Any], path: Path) -> dict[str, Any]:
    width = require_shape(weights, "mid_attn.fn.fn.to_qkv.weight", 4, path)[0]
    return {"attn_heads": (GUIDED_HEADS,), "attn_dim_head": (max(1, width // (3 * GUIDED_HEADS)),)}


def make_unet(shape: UNetShape) -> Any:
    """The package's own U-Net; raises DtoolError where the package is not installed."""
    common: dict[str, Any] = {
        "dim": shape.dim, "init_dim": shape.init_dim, "dim_mults": shape.dim_mults, "channels": shape.channels,
        "learned_variance": shape.learned_variance, "learned_sinusoidal_cond": shape.sinusoidal_dim > 0,
        "learned_sinusoidal_dim": shape.sinusoidal_dim or 16,
    }  # fmt: skip
    purpose = "build the U-Net of this checkpoint"
    if shape.classes:
        module = import_package("denoising_diffusion_pytorch.classifier_free_guidance", PACKAGE, purpose)
        heads = {"attn_heads": shape.attn_heads[0], "attn_dim_head": shape.attn_dim_head[0]}
        return module.Unet(num_classes=shape.classes, **common, **heads)
    module = import_package("denoising_diffusion_pytorch", PACKAGE, purpose)
    return module.Unet(
        **common, self_condition=shape.self_condition, attn_heads=shape.attn_heads,
        attn_dim_head=shape.attn_dim_head, full_attn=shape.full_attn,
    )  # fmt: skip
