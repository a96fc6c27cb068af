"""Small networks of EDM with weights from a formula, and what another implementation says of them.

The values are those of nvidia-physicsnemo 2.2.2 (Apache-2.0), whose `SongUNet` and `DhariwalUNet` were given the same
weights and inputs in float64, in training mode without dropout: its group norm of evaluation takes another variance.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod, sqrt
from typing import Any

import numpy as np

SIZE, CHANNELS = 16, 3
SMALL: dict[str, Any] = {"img_resolution": SIZE, "img_channels": CHANNELS, "num_blocks": 1}
PLACES = ((0, 0, 0, 0), (0, 1, 7, 9), (0, 2, 15, 15), (1, 0, 8, 0), (1, 1, 0, 15), (1, 2, 3, 4))


@dataclass(frozen=True)
class Case:
    """The arguments of a network, and its answer at `PLACES`."""

    arguments: dict[str, Any] = field(repr=False)
    expected: tuple[float, ...] = field(repr=False)


def make_state(shapes: dict[str, tuple[int, ...]], filters: dict[str, Any]) -> dict[str, Any]:
    """Weights by name: uniform numbers, seeded by the place of the name among all, of about unit gain."""
    import torch

    state = {}
    for i, (name, shape) in enumerate(sorted(shapes.items())):
        if name in filters:
            state[name] = filters[name]
            continue
        numbers = 2 * np.random.default_rng(i).random(shape) - 1
        wide = sqrt(3 / prod(shape[1:])) if len(shape) > 1 else 0.2
        scaled = wide * numbers + (1 if "norm" in name and name.endswith("weight") else 0)
        state[name] = torch.from_numpy((2 * numbers if name.endswith("freqs") else scaled).astype(np.float32))
    return state


def make_inputs(label_dim: int) -> tuple[Any, Any, Any]:
    """x `(2, C, H, W)`, c_noise `(2,)` and classes one-hot, or None of a network without them."""
    import torch

    x = torch.from_numpy((4 * np.random.default_rng(1000).random((2, CHANNELS, SIZE, SIZE)) - 2).astype(np.float32))
    return x, torch.tensor([0.3, -1.2]), torch.eye(label_dim)[[1, 2]] if label_dim else None


CASES: dict[str, Case] = {
    "ddpmpp": Case(
        {
            **SMALL, "model_type": "SongUNet", "model_channels": 16, "channel_mult": [1, 2], "attn_resolutions": [8],
            "augment_dim": 9,
        },
        (0.311889, -1.518096, -0.178133, 0.888287, 0.039837, -0.259720),
    ),
    "ddpmpp-classes": Case(
        {
            **SMALL, "model_type": "SongUNet", "model_channels": 16, "channel_mult": [2, 2, 1],
            "attn_resolutions": [16], "label_dim": 5, "num_blocks": 2,
        },
        (-0.539110, -0.352083, -0.508428, 0.022251, -0.101214, -0.298586),
    ),
    "ncsnpp": Case(
        {
            **SMALL, "model_type": "SongUNet", "model_channels": 16, "channel_mult": [1, 2, 2],
            "attn_resolutions": [8], "embedding_type": "fourier", "channel_mult_noise": 2, "encoder_type": "residual",
            "resample_filter": [1, 3, 3, 1],
        },
        (0.294278, 0.634395, -0.300532, 0.705932, 0.147386, -1.023874),
    ),
    "ncsnpp-both": Case(
        {
            **SMALL, "model_type": "SongUNet", "model_channels": 16, "channel_mult": [1, 2], "attn_resolutions": [8],
            "encoder_type": "residual", "decoder_type": "skip", "resample_filter": [1, 3, 3, 1], "label_dim": 3,
        },
        (0.465384, -2.146459, -0.645354, -0.275325, -0.276217, -0.296493),
    ),
    "skip": Case(
        {
            **SMALL, "model_type": "SongUNet", "model_channels": 16, "channel_mult": [1, 1, 2],
            "attn_resolutions": [16, 4], "encoder_type": "skip", "decoder_type": "skip",
        },
        (-0.886206, -1.224481, -0.275469, -0.110505, -0.578864, 0.264561),
    ),
    "adm-classes": Case(
        {
            **SMALL, "model_type": "DhariwalUNet", "model_channels": 64, "channel_mult": [1, 2],
            "attn_resolutions": [8], "label_dim": 7,
        },
        (-0.243706, -0.519278, 0.823792, -0.218536, 0.318758, -0.277680),
    ),
    "adm": Case(
        {
            **SMALL, "model_type": "DhariwalUNet", "model_channels": 32, "channel_mult": [1, 2, 2],
            "attn_resolutions": [], "augment_dim": 9, "channel_mult_emb": 2,
        },
        (-0.086871, -0.685707, 0.099978, 0.426675, 0.179552, 1.025938),
    ),
}  # fmt: skip
