"""Classifier-free guidance, everywhere or within an interval of noise levels."""

from __future__ import annotations

from math import inf
from typing import Annotated

from pydantic import Field

from dtool.guidances.guidance import Level, guidance

Low = Annotated[float, Field(description="λ = log(α/σ) from which on there is guidance")]
High = Annotated[float, Field(description="λ up to which there is guidance")]


@guidance("cfg", cite="arXiv:2207.12598, eq. 6; the interval: arXiv:2404.07724, eq. 4")
def cfg(level: Level, *, low: Low = -inf, high: High = inf) -> float:
    """The whole scale at low ≤ λ ≤ high, and none elsewhere, where a row then makes one evaluation instead of two."""
    return 1.0 if low <= level.lam <= high else 0.0
