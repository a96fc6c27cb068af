"""What `dtool.sample` is told of a network's conditions where any will do: in comparisons and measurements."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtool.models.conditions import LABEL, TRIAL_LENGTH, make_trial_conditions
from dtool.models.spec import NetworkSpec


def make_trial_options(
    spec: NetworkSpec, count: int, guidance: float | None = None, *, seed: int = 0, length: int = TRIAL_LENGTH
) -> dict[str, Any]:
    """`conditions` of `count` images, drawn at random, and, where the run is guided, others `without`.

    Empty for a network that takes no conditions but a class. length: of one that varies.
    """
    if not spec.conditions:
        return {}
    random = np.random.default_rng(seed)
    drawn = [make_trial_conditions(spec, count, random, length) for _ in range(2)]
    given, without = ({name: array for name, array in one.items() if name != LABEL} for one in drawn)
    scale = spec.guidance if guidance is None else guidance
    return {"conditions": given} | ({} if scale == 1 else {"without": without})
