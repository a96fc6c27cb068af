"""Guidance that grows along the run."""

from __future__ import annotations

from math import cos, pi

from dtool.guidances.guidance import Level, guidance

PAPER = "arXiv:2404.13040"


@guidance("cfg-linear", cite=f"{PAPER}, the linear one")
def cfg_linear(level: Level) -> float:
    """Twice the scale's excess over 1, times the progress: none in the first row, the whole excess on average."""
    return 2 * level.progress


@guidance("cfg-cosine", cite=f"{PAPER}, the cosine one")
def cfg_cosine(level: Level) -> float:
    """The scale's excess over 1 times 1 - cos(π·progress): none in the first row, the whole excess on average."""
    return 1 - cos(pi * level.progress)
