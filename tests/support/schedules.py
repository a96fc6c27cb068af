"""The names of dtool's schedules, and their formulas written down a second time."""

from pathlib import Path

import numpy as np

from dtool.plugins.registry import get_registry
from dtool.schedulers import get_scheduler

NAMES = [entry.name for entry in get_registry().schedulers if entry.name != "betas" and entry.provider.name == "dtool"]

VP = [name for name in NAMES if get_scheduler(name).coordinates == "vp"]


def alpha_bar(betas):
    """ᾱ as a running product in extended precision."""
    return np.cumprod(1 - np.asarray(betas, dtype=np.longdouble)).astype(np.float64)


COORDINATES = ("vp", "ve", "flow", "sub-vp")


def log_snr(token):
    return 2 * get_scheduler(token).lam


def betas(folder: Path) -> Path:
    path = folder / "betas.txt"
    path.write_text("0.01 0.02 0.03 0.3")
    return path
