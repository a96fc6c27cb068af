"""The laws that the certificates examine samplers on: closed forms of `dtool.targets`, on a line."""

from __future__ import annotations

from dtool.targets.line import Array, Mixture

__all__ = ["THREE", "Array", "Mixture", "gaussian"]

THREE = Mixture((0.3, 0.5, 0.2), (-0.35, 0.1, 0.4), (0.15, 0.12, 0.1))


def gaussian(mean: float = 0.0, std: float = 1.0) -> Mixture:
    """The law N(mean, std²); std = 0 is a single image."""
    return Mixture((1.0,), (mean,), (std,))
