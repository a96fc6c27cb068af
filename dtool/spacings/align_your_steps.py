"""Levels that were optimised for one network each: Align Your Steps."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from dtool.schedulers.schedule import Schedule
from dtool.spacings.noise_levels import find_times
from dtool.spacings.spacing import spacing
from dtool.util.arrays import Array

# σ/α at the 11 ends of ten steps, as the authors publish them.
_TABLES = {
    "sd1": (
        14.6146412293, 6.4745760956, 3.8636745985, 2.6946151520, 1.8841921177, 1.3943805092,
        0.9642583904, 0.6523686016, 0.3977456272, 0.1515232662, 0.0291671582,
    ),
    "sdxl": (
        14.6146412293, 6.3184485287, 3.7681790315, 2.1811480769, 1.3405244945, 0.8620721141,
        0.5550693289, 0.3798540708, 0.2332364134, 0.1114188177, 0.0291671582,
    ),
    "svd": (700.0, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002),
}  # fmt: skip


@spacing("ays", cite="arXiv:2404.14507, with the authors' tables")
def ays(
    schedule: Schedule,
    n: int,
    *,
    table: Annotated[
        Literal["sd1", "sdxl", "svd"], Field(description="Stable Diffusion 1.5, XL, or Stable Video Diffusion")
    ] = "sd1",
) -> Array:
    """Levels found to be best in ten steps with Stable Diffusion; for other n they are interpolated in log(σ/α).

    They mean that network's noise, whatever the schedule: they are not stretched to another range. The table's last
    level is left out for the image, and is where end=sigma_min ends.
    """
    levels = np.log(_TABLES[table])
    return find_times(
        schedule, np.exp(np.interp(np.linspace(0, levels.size - 1, n + 1), np.arange(levels.size), levels))
    )
