"""The front of quality against cost."""

import numpy as np
import pytest

from dtool.report import quality


@pytest.mark.parametrize("better", ["lower", "higher"])
@pytest.mark.parametrize("seed", range(20))
def test_the_front_is_what_nothing_beats(seed, better):
    """By definition: a row is on the front if no other costs no more, is no worse, and is better in one of them."""
    random = np.random.default_rng(seed)
    rows = [
        {"x": int(x), "value": float(v)} for x, v in zip(random.integers(1, 6, 12), random.normal(size=12), strict=True)
    ]
    sign = 1 if better == "lower" else -1

    def beats(a, b):
        no_worse = a["x"] <= b["x"] and sign * a["value"] <= sign * b["value"]
        return no_worse and (a["x"] < b["x"] or sign * a["value"] < sign * b["value"])

    expected = {i for i, row in enumerate(rows) if not any(beats(other, row) for other in rows)}
    kept = quality.pareto_front(rows, better)
    assert {*kept} == expected
    assert [rows[i]["x"] for i in kept] == sorted(rows[i]["x"] for i in kept)
