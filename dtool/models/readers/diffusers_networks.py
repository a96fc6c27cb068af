"""The networks of diffusers as functions of x, t, a label and conditions by name: one small module around each."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class Unconditional(nn.Module):
    """UNet2DModel and DiTTransformer2DModel: F(x, t[, label])."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        """x `(B, C, H, W)`, t `(B,)`, label `(B,)` → `(B, C or 2C, H, W)`."""
        output: Tensor = self.inner(x, t, class_labels=label, return_dict=False)[0]
        return output


class TextUNet(nn.Module):
    """UNet2DConditionModel: F(x, t, text[, pooled, time_ids][, guidance_scale][, images]).

    images: the names of the conditions that its input holds after x, in their order.
    """

    def __init__(self, inner: Any, images: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.inner, self.images = inner, images
        self.scale_width: int | None = inner.config.get("time_cond_proj_dim")

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        label: Tensor | None = None,
        *,
        text: Tensor,
        pooled: Tensor | None = None,
        time_ids: Tensor | None = None,
        guidance_scale: Tensor | None = None,
        **images: Tensor,
    ) -> Tensor:
        """text `(B, L, D)`, pooled `(B, P)`, time_ids `(B, 5 or 6)`, guidance_scale `(B,)`, images `(B, C, H, W)`."""
        added = None if pooled is None else {"text_embeds": pooled, "time_ids": time_ids}
        scale = None
        if guidance_scale is not None and self.scale_width is not None:
            scale = embed_guidance_scale(guidance_scale - 1, self.scale_width).to(x.dtype)
        whole = torch.cat([x, *(images[name] for name in self.images)], dim=1) if self.images else x
        output: Tensor = self.inner(
            whole, t, text, class_labels=label, timestep_cond=scale, added_cond_kwargs=added, return_dict=False
        )[0]
        return output


class StableDiffusion3(nn.Module):
    """SD3Transformer2DModel: F(x, t, text, pooled), t = 1000·σ."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor, t: Tensor, *, text: Tensor, pooled: Tensor) -> Tensor:
        """text `(B, L, D)`, pooled `(B, P)`."""
        output: Tensor = self.inner(
            hidden_states=x, timestep=t, encoder_hidden_states=text, pooled_projections=pooled, return_dict=False
        )[0]
        return output


class Flux(nn.Module):
    """FluxTransformer2DModel: F(x, t, text, pooled[, guidance_scale]), of latents that are no patches; t = 1000·σ."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(
        self, x: Tensor, t: Tensor, *, text: Tensor, pooled: Tensor, guidance_scale: Tensor | None = None
    ) -> Tensor:
        """x `(B, C, H, W)`, H and W even, text `(B, L, D)`, pooled `(B, P)`, guidance_scale `(B,)`."""
        height, width = x.shape[-2:]
        output = self.inner(
            hidden_states=pack_patches(x), timestep=t / 1000, guidance=guidance_scale, pooled_projections=pooled,
            encoder_hidden_states=text, txt_ids=x.new_zeros(text.shape[1], 3),
            img_ids=number_patches(height // 2, width // 2).to(x), return_dict=False,
        )[0]  # fmt: skip
        return unpack_patches(output, height, width)


class Adapted(nn.Module):
    """A network whose output becomes a prediction by `wrap`, a function of the network as a function."""

    def __init__(self, inner: nn.Module, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        super().__init__()
        self.inner, self._wrap = inner, wrap

    def forward(self, x: Tensor, t: Tensor, *label: Tensor, **others: Tensor) -> Tensor:
        """As the network inside, with a prediction in the place of its output."""
        output: Tensor = self._wrap(self.inner)(x, t, *label, **others)
        return output


def pack_patches(x: Tensor) -> Tensor:
    """x `(B, C, H, W)` as patches of 2×2: `(B, H/2·W/2, 4C)`."""
    batch, channels, height, width = x.shape
    parts = x.reshape(batch, channels, height // 2, 2, width // 2, 2).permute(0, 2, 4, 1, 3, 5)
    return parts.reshape(batch, (height // 2) * (width // 2), channels * 4)


def unpack_patches(patches: Tensor, height: int, width: int) -> Tensor:
    """The inverse of `pack_patches`."""
    batch, _, numbers = patches.shape
    parts = patches.reshape(batch, height // 2, width // 2, numbers // 4, 2, 2).permute(0, 3, 1, 4, 2, 5)
    return parts.reshape(batch, numbers // 4, height, width)


def number_patches(rows: int, columns: int) -> Tensor:
    """(0, row, column) of every patch, `(rows·columns, 3)`."""
    ids = torch.zeros(rows, columns, 3)
    ids[..., 1], ids[..., 2] = torch.arange(rows)[:, None], torch.arange(columns)[None, :]
    return ids.reshape(rows * columns, 3)


def embed_guidance_scale(w: Tensor, width: int) -> Tensor:
    """Sinusoids of 1000·w, w `(B,)` the guidance scale less 1: `(B, width)` (arXiv:2310.04378, section 4.2)."""
    half = width // 2
    frequencies = torch.exp(torch.arange(half, dtype=torch.float32, device=w.device) * (-math.log(1e4) / (half - 1)))
    angles = w.float()[:, None] * 1000 * frequencies[None]
    embedding = torch.cat([angles.sin(), angles.cos()], dim=1)
    return nn.functional.pad(embedding, (0, width % 2))
