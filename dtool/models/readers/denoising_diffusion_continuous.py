"""What denoising-diffusion-pytorch's diffusions in continuous time tell their networks, and the levels that they have.

log(α²/σ²) is a function of u in 0 … 1: one of the two of VDM (arXiv:2107.00630, appendix), or learned with the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.errors import DtoolError, UsageError
from dtool.models.readers.torch_weights import select

LEVELS = 1001  # of the table: u = i/1000, so that the points of 10, 50, 100 or 500 even steps are in it
LEARNED = "log_snr.net."
NAMED = ("vdm-linear", "vdm-cosine")
_LAYERS = ("1.net.", "2.fn.0.net.", "2.fn.2.net.")  # of the learned one: to a number, to many, and back
Table = NDArray[np.float64]


def choose_log_snr(buffers: Mapping[str, Any], prediction: str | None, schedule: Any, path: Path) -> Table:
    """The table of log(α²/σ²), `(LEVELS,)` falling, that the file holds or the user's word names.

    Raises UsageError where the schedule or what is predicted is not said, or cannot be.
    """
    learned = select(buffers, LEARNED)
    if prediction not in ("eps", "v") or (learned and prediction == "v"):
        raise UsageError(
            f"{path}: a network in continuous time, which does not say what it predicts"
            if prediction is None
            else f"{path}: its diffusion has no objective {prediction!r}",
            "say --prediction eps" + (" (spec={'prediction': 'eps'})" if learned else " or v (spec=), for its VParam…"),
        )
    if learned:
        if schedule is not None:
            raise UsageError(f"{path} says its schedule itself", "leave out --schedule (spec=)")
        return _compute_learned(learned, path)
    known = NAMED if prediction == "eps" else NAMED[1:]
    name = known[0] if schedule is None and len(known) == 1 else schedule
    if name not in known:
        raise UsageError(
            f"{path} does not show its schedule" if name is None else f"{path}: its schedule cannot be {name}",
            f"say --schedule {' or '.join(known)} (spec=)"
            + (", which it calls linear and cosine" if len(known) > 1 else ", the only one that predicts v"),
        )
    return compute_log_snr(name)


def compute_log_snr(name: str) -> Table:
    """One of the `NAMED` at `LEVELS` even u from 0 to 1, in float32, as the package computes it.

    At u = 1 the cosine is then not 0, and log(α²/σ²) -33.9.
    """
    u = np.arange(LEVELS, dtype=np.float32) / np.float32(LEVELS - 1)
    if name == "vdm-linear":
        ratio = np.expm1(np.float32(1e-4) + 10 * u**2)
    else:
        angle = (u + np.float32(0.008)) / np.float32(1.008) * np.float32(np.pi) * np.float32(0.5)
        ratio = np.maximum(np.cos(angle) ** np.float32(-2) - 1, np.float32(1e-5))
    return np.asarray(-np.log(ratio.astype(np.float64)))


def _compute_learned(weights: Mapping[str, Any], path: Path) -> Table:
    """The monotone network of VDM (arXiv:2107.00630, appendix H), normed to the ends of the linear schedule."""
    layers = []
    for layer in _LAYERS:
        values = [weights.get(f"{layer}{kind}") for kind in ("weight", "bias")]
        if any(value is None or not value.isfinite().all() for value in values):
            raise DtoolError(f"{path}: {LEARNED}{layer}weight is not there or not finite", "save the whole state dict")
        layers.append([abs(np.asarray(value.double())) for value in values if value is not None])
    try:
        (first, offset), (wide, shift), (back, end) = layers
        line = np.linspace(0, 1, LEVELS)[:, None] @ first.T + offset
        rise = line + (1 / (1 + np.exp(-(line @ wide.T + shift)))) @ back.T + end
        share = (rise[:, 0] - rise[0, 0]) / (rise[-1, 0] - rise[0, 0])
    except ValueError as error:
        raise DtoolError(f"{path}: {LEARNED}* are of no schedule", "save the whole state dict") from error
    high, low = compute_log_snr("vdm-linear")[[0, -1]]
    return np.asarray(high + (low - high) * share)


def look_up(table: Any, t: Any) -> Any:
    """The entries of a table `(T,)` at indices `(B,)`, linearly between them."""
    low = t.floor().clamp(0, len(table) - 1)
    high = (low + 1).clamp(max=len(table) - 1)
    share = t - low
    return table[low.long()] * (1 - share) + table[high.long()] * share


def make_log_snr_network(unet: Any, log_snr: Table) -> Any:
    """F(x, t) of a U-Net that is told log(α²/σ²): t is an index of the table."""
    import torch
    from torch import nn

    class LogSnrNetwork(nn.Module):
        """The U-Net, moved and set as any module."""

        table: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.unet = unet
            self.register_buffer("table", torch.from_numpy(log_snr).float())

        def forward(self, x: Any, t: Any) -> Any:
            """One call, of the shape of x."""
            return self.unet(x, look_up(self.table, t))

    return LogSnrNetwork()


def make_weighted_network(unet: Any, alpha_bar: Table) -> Any:
    """ε of (x, t) by a U-Net that predicts ε, x0 and two numbers a pixel, which weigh both by their softmax.

    The same image follows from it as from the weighed ones, and it is not divided by an α near 0.
    """
    import torch
    from torch import nn

    class WeightedNetwork(nn.Module):
        """The U-Net, moved and set as any module."""

        log_snr: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.unet = unet
            self.register_buffer("log_snr", torch.from_numpy(np.log(alpha_bar) - np.log1p(-alpha_bar)).float())

        def forward(self, x: Any, t: Any) -> Any:
            """The noise, of the shape of x."""
            level = look_up(self.log_snr, t).reshape(-1, *[1] * (x.ndim - 1))
            channels = x.shape[1]
            noise, image, votes = self.unet(x, t).split([channels, channels, 2], dim=1)
            share = votes.softmax(dim=1)
            from_image = (x - level.sigmoid().sqrt() * image) / (-level).sigmoid().sqrt()
            return share[:, :1] * noise + share[:, 1:] * from_image

    return WeightedNetwork()
