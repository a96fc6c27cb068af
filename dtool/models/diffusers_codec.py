"""The autoencoders of diffusers: from latents to pictures and back, by the factors that their configs hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dtool.errors import DtoolError, format_value
from dtool.models.autoencoder import get_factor
from dtool.models.codec import Codec


class DiffusersCodec(Codec):
    """AutoencoderKL, whose posterior is a Gaussian, or AutoencoderTiny, whose latents are what they are.

    latent = (z - mean)·scaling/deviation, where z is what the autoencoder knows: scaling_factor and shift_factor, or
    latents_mean and latents_std one number a channel, of its config.
    """

    takes_any_size = True

    def __init__(self, autoencoder: Any, latent_shape: tuple[int, ...]) -> None:
        config = autoencoder.config
        factor = get_factor(config)
        height, width = latent_shape[1:]
        self.latent_shape = latent_shape
        self.picture_shape = (config["out_channels"], factor * height, factor * width)
        self.autoencoder, self.device = autoencoder.eval(), "cpu"
        channels = latent_shape[0]
        if config["latent_channels"] != channels:
            raise DtoolError(
                f"the autoencoder's latents have {config['latent_channels']} channels, and the network's {channels}",
                "use the two parts that belong together",
            )
        scaling = _read_numbers(config, "scaling_factor", 1) or [1.0]
        shift = _read_numbers(config, "shift_factor", 1) or [0.0]
        mean = _read_numbers(config, "latents_mean", channels)
        deviation = _read_numbers(config, "latents_std", channels)
        if mean is None or deviation is None:
            mean, deviation = shift, [1.0]
        if not all((*scaling, *deviation)):
            raise DtoolError("the autoencoder's config: a scale is 0", "write the factor that it was trained with")
        self.scale = _column(scaling) / _column(deviation)
        self.shift = _column(mean)

    def describe(self) -> str:
        """The class of diffusers."""
        return type(self.autoencoder).__name__

    def replace_factors(self, scale: float | None, shift: float | None) -> None:
        """Have latents divided by `scale` and `shift` added to them, in the place of what the config says."""
        if scale is not None:
            self.scale = _column([scale])
        if shift is not None:
            self.shift = _column([shift])

    def move(self, device: str) -> None:
        """Have it computed on `device`."""
        self.autoencoder, self.device = self.autoencoder.to(device), device

    def to_module(self) -> torch.nn.Module:
        """The decoder with its scale and shift."""
        return _Decoder(self.autoencoder, self.scale, self.shift)

    def _decode(self, latents: NDArray[Any]) -> NDArray[Any]:
        z = self._tensor(latents / self.scale + self.shift)
        with torch.no_grad():
            return _array(self.autoencoder.decode(z, return_dict=False)[0])

    def _encode(self, pictures: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        with torch.no_grad():
            output = self.autoencoder.encode(self._tensor(pictures))
        if hasattr(output, "latent_dist"):
            mean, deviation = _array(output.latent_dist.mean), _array(output.latent_dist.std)
        else:
            mean = _array(output.latents)
            deviation = np.zeros_like(mean)
        return (mean - self.shift) * self.scale, deviation * self.scale

    def _tensor(self, values: NDArray[Any]) -> Tensor:
        dtype = next(self.autoencoder.parameters()).dtype
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device, dtype)


class _Decoder(torch.nn.Module):
    """From latents to pictures: what the autoencoder decodes, without its encoder."""

    def __init__(self, autoencoder: Any, scale: NDArray[Any], shift: NDArray[Any]) -> None:
        super().__init__()
        self.autoencoder = autoencoder
        self.scale, self.shift = (torch.nn.Buffer(torch.from_numpy(values)[None]) for values in (scale, shift))

    def forward(self, latents: Tensor) -> Tensor:
        """Pictures `(B, C, H, W)` of latents `(B, *latent_shape)`."""
        pictures: Tensor = self.autoencoder.decode(latents / self.scale + self.shift, return_dict=False)[0]
        return pictures


def _array(values: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = values.float().cpu().numpy()
    return array


def _column(numbers: list[float]) -> NDArray[np.float32]:
    """One number a channel, `(C, 1, 1)`."""
    return np.array(numbers, dtype=np.float32)[:, None, None]


def _read_numbers(config: Any, key: str, count: int) -> list[float] | None:
    """One number, or one a channel; None if the config has none."""
    value = config.get(key)
    if value is None:
        return None
    numbers = list(value) if isinstance(value, list | tuple) else [value]
    if len(numbers) != count or not all(isinstance(n, int | float) and np.isfinite(n) for n in numbers):
        raise DtoolError(
            f"the autoencoder's config: {key} is {format_value(value)}", f"write {count} finite numbers there"
        )
    return [float(n) for n in numbers]
