"""What is measured of a network and its data, once, for the variance of Analytic-DPM: a small file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from math import exp, inf
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dtool.errors import DtoolError
from dtool.util import bounded_reading
from dtool.util.files import write_atomically

FORMAT = 1


@dataclass(frozen=True, eq=False)
class VarianceStatistics:
    """1 - Γ = E‖z - ε‖²/d, the mean square by which the predicted noise misses, at the levels `lam`, rising.

    Γ = E‖ε‖²/d is Analytic-DPM's (arXiv:2201.06503, section 3.1); for the optimal network the two are one. Measured so
    it is known to the same few digits at every level, where 1 - Γ itself drowns in the noise of Γ, and of a network
    that is not optimal it gives the variance that is best for it (arXiv:2206.07309). `bound`: the largest variance that
    data in the network's range can have, ((b - a)/2)². `images`: how many were looked at.
    """

    lam: NDArray[np.float64]
    missed: NDArray[np.float64]
    bound: float
    images: int

    def __post_init__(self) -> None:
        good = self.lam.ndim == 1 and self.lam.shape == self.missed.shape and self.lam.size > 0
        if not (good and np.isfinite(self.lam).all() and (np.diff(self.lam) > 0).all() and (self.missed >= 0).all()):
            raise DtoolError("these are no variance statistics", "measure them with dtool.measure_variance")

    @property
    def variance(self) -> NDArray[np.float64]:
        """Var[x0 | x] at each level, averaged over x and over pixels: (σ/α)²(1 - Γ), at most `bound`."""
        return np.asarray(np.minimum(np.exp(-2 * self.lam) * self.missed, self.bound))

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        content = {"format": FORMAT, "bound": self.bound, "images": self.images}
        content |= {"lam": self.lam.tolist(), "missed": self.missed.tolist()}
        text = json.dumps(content) + "\n"
        write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))

    @classmethod
    def read(cls, path: Path) -> VarianceStatistics:
        """Read what `write` wrote; raises DtoolError if it is something else."""
        try:
            content = bounded_reading.read_json(path)
            if content["format"] != FORMAT:
                raise DtoolError(f"{path} is of another format", "measure again, with dtool.measure_variance")
            lam, missed = (np.array(content[name], dtype=np.float64) for name in ("lam", "missed"))
            return cls(lam, missed, float(content["bound"]), int(content["images"]))
        except OSError as error:
            raise DtoolError(f"cannot read {path}: {error.strerror}", "make it with dtool.measure_variance") from error
        except bounded_reading.UnreadableError as error:
            raise DtoolError(f"cannot read {path}: {error}", "make it with dtool.measure_variance") from error
        except DtoolError:
            raise
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise DtoolError(f"{path} holds no variance statistics", "make it with dtool.measure_variance") from error


def posterior_variance(stats: str, lam: float) -> float:
    """Var[x0 | x] at the level `lam`, of the file `stats`; of "unit", that of data N(0, I), σ²/(α²+σ²).

    Between measured levels it is interpolated in λ. Outside it is that of the nearest, but no more than (σ/α)².
    """
    if stats == "unit":
        return 1 / (1 + exp(2 * lam)) if lam < inf else 0.0
    file = Path(stats)
    table = _read_cached(file, file.stat().st_mtime_ns if file.is_file() else 0)
    return min(float(np.interp(lam, table.lam, table.variance)), exp(-2 * lam) if lam > -300 else inf)


@lru_cache(maxsize=8)
def _read_cached(path: Path, _changed: int) -> VarianceStatistics:
    return VarianceStatistics.read(path)
