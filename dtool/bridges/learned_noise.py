"""Schedulers whose noise the network sizes (arXiv:2102.09672, eq. 15), as plans: adopted at both ends of its range."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from dtool.bridges.adoption import Adoption
from dtool.errors import UsageError
from dtool.plan.compiled_plan import COLUMNS

BETWEEN = (-0.5, 0.0, 0.75)  # what the network says of the noise, where the ends are -1 and 1
LIKE = 1e-6  # of a size of noise: constants may be float32


def adopt_learned_noise(adopt: Callable[[float], Adoption], token: str) -> Adoption:
    """The plan of a sampler whose noise has a size between two, which the network chooses; adopt(v): with v said.

    Raises UsageError where it is no geometric mean of the sizes at -1 and at 1, or changes more than noise.
    """
    high, low = adopt(1.0), adopt(-1.0)
    for share, made in [(1.0, high), (0.0, low), *(((v + 1) / 2, adopt(v)) for v in BETWEEN)]:
        alike = made.plan.rows == high.plan.rows and all(
            np.allclose(getattr(made.plan, name), getattr(high.plan, name), rtol=LIKE, atol=LIKE, equal_nan=True)
            for name in COLUMNS
            if name not in ("c", "c_low")
        )
        if not alike or not np.allclose(made.plan.c, low.plan.c ** (1 - share) * high.plan.c**share, rtol=LIKE, atol=0):
            raise UsageError(
                f"{token}: what the network says of its noise is no share of a range, at network call 1 and after it",
                "use another variance_type, or dtool's own ddpm:sigma=learned",
            )
    error = max(high.error, low.error)
    return replace(high, plan=replace(high.plan, c_low=low.plan.c), error=error)
