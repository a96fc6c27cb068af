"""PLMS: its first step."""

from __future__ import annotations

import pytest

from dtool.certify.grids import point_at_lam
from dtool.plan import Node
from dtool.samplers import get_sampler


def test_plms_begins_with_the_trapezoid_rule():
    now, to = point_at_lam(-0.4), point_at_lam(0.7)
    steps = get_sampler("plms").step(Node(now, 0.8, eps=0.3), to)
    guess, where = next(steps)
    assert where == to
    with pytest.raises(StopIteration) as stop:
        steps.send(Node(to, guess, eps=0.5))
    assert stop.value.value / to.alpha == pytest.approx(0.8 / now.alpha + (to.v - now.v) * (0.3 + 0.5) / 2)
