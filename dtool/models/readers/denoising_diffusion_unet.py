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
HIDDEN_HEADS = 4  # of the guided and of the 1-D U-Net, whose weights do not show them: the default of the package


@dataclass(frozen=True, kw_only=True)
class UNetShape:
    """The arguments of a U-Net of the package. classes: 0 of one that has none.

    axes: 2 of a U-Net for images, 1 of its `Unet1D`. weighted: it predicts noise, image and how much each counts.
    """

    dim: int
    init_dim: int
    dim_mults: tuple[int, ...]
    channels: int
    classes: int = 0
    axes: int = 2
    weighted: bool = False
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
        heads = f"attention has {HIDDEN_HEADS} heads, the package's default"
        hidden = self.classes or self.axes == 1
        theta = "the frequencies of the time are of theta 10000, the package's default"
        return (*((heads,) if hidden else ()), *(() if self.sinusoidal_dim else (theta,)))


def read_unet_shape(weights: Mapping[str, Any], path: Path) -> UNetShape:
    """The U-Net whose weights these are; raises DtoolError where they are of none."""
    axes = 1 if getattr(weights.get("init_conv.weight"), "ndim", 0) == 3 else 2
    init_dim, inputs = require_shape(weights, "init_conv.weight", axes + 2, path)[:2]
    outputs = require_shape(weights, "final_conv.weight", axes + 2, path)[0]
    time_dim = require_shape(weights, "time_mlp.1.weight", 2, path)[0]
    frequencies = require_shape(weights, "time_mlp.0.weights", 1, path)[0] if "time_mlp.0.weights" in weights else 0
    dim, classes = max(1, time_dim // 4), 0
    if "classes_emb.weight" in weights:
        classes, dim = require_shape(weights, "classes_emb.weight", 2, path)
    self_condition, learned_variance, weighted = inputs == 2 * outputs, outputs == 2 * inputs, outputs == 2 * inputs + 2
    if inputs != outputs and not self_condition and not learned_variance and not weighted:
        raise DtoolError(f"{path}: the U-Net makes {outputs} channels of {inputs}", "give an unconditional network's")
    widths = _read_widths(weights, axes, path)
    if any(width % dim for width in widths):
        raise DtoolError(f"{path}: its levels have {widths} channels, no multiples of {dim}", "save the weights again")
    shape: dict[str, Any] = {
        "dim": dim, "init_dim": init_dim, "dim_mults": tuple(width // dim for width in widths), "classes": classes,
        "channels": min(inputs, outputs), "self_condition": self_condition, "learned_variance": learned_variance,
        "sinusoidal_dim": 2 * frequencies, "axes": axes, "weighted": weighted,
    }  # fmt: skip
    hidden = classes or axes == 1
    attention = _read_hidden_attention(weights, axes, path) if hidden else _read_attention(weights, len(widths), path)
    return UNetShape(**shape, **attention)


def _read_widths(weights: Mapping[str, Any], axes: int, path: Path) -> list[int]:
    """The channels that each level ends with: those of its last convolution."""
    levels = {int(match[1]) for name in weights if (match := re.match(r"downs\.(\d{1,3})\.", str(name)))}
    if levels != set(range(len(levels))) or not levels:
        raise DtoolError(f"{path}: the levels of the U-Net are not complete", "save the weights again")
    names = [
        next((n for n in (f"downs.{i}.3.1.weight", f"downs.{i}.3.weight") if n in weights), f"downs.{i}.3.weight")
        for i in range(len(levels))
    ]
    return [require_shape(weights, name, axes + 2, path)[0] for name in names]


def _read_attention(weights: Mapping[str, Any], levels: int, path: Path) -> dict[str, Any]:
    """Heads, their width and the kind of each level's attention; only the linear kind ends in a norm."""
    heads, dims, full = [], [], []
    for i in range(levels):
        count = require_shape(weights, f"downs.{i}.2.mem_kv", 4, path)[1]
        heads.append(count)
        dims.append(require_shape(weights, f"downs.{i}.2.to_qkv.weight", 4, path)[0] // (3 * count))
        full.append(f"downs.{i}.2.to_out.weight" in weights)
    return {"attn_heads": tuple(heads), "attn_dim_head": tuple(dims), "full_attn": tuple(full)}


def _read_hidden_attention(weights: Mapping[str, Any], axes: int, path: Path) -> dict[str, Any]:
    width = require_shape(weights, "mid_attn.fn.fn.to_qkv.weight", axes + 2, path)[0]
    return {"attn_heads": (HIDDEN_HEADS,), "attn_dim_head": (max(1, width // (3 * HIDDEN_HEADS)),)}


def make_unet(shape: UNetShape) -> Any:
    """The package's own U-Net; raises DtoolError where the package is not installed."""
    common: dict[str, Any] = {
        "dim": shape.dim, "init_dim": shape.init_dim, "dim_mults": shape.dim_mults, "channels": shape.channels,
        "learned_variance": shape.learned_variance, "learned_sinusoidal_cond": shape.sinusoidal_dim > 0,
        "learned_sinusoidal_dim": shape.sinusoidal_dim or 16,
    }  # fmt: skip
    purpose = "build the U-Net of this checkpoint"
    heads: dict[str, Any] = {"attn_heads": shape.attn_heads, "attn_dim_head": shape.attn_dim_head}
    alone = {name: value[0] for name, value in heads.items()}
    if shape.classes:
        module = import_package("denoising_diffusion_pytorch.classifier_free_guidance", PACKAGE, purpose)
        return module.Unet(num_classes=shape.classes, **common, **alone)
    module = import_package("denoising_diffusion_pytorch", PACKAGE, purpose)
    common |= {"self_condition": shape.self_condition}
    if shape.weighted:
        common |= {"out_dim": 2 * shape.channels + 2}
    if shape.axes == 1:
        return module.Unet1D(**common, **alone)
    return module.Unet(**common, **heads, full_attn=shape.full_attn)
