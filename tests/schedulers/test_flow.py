"""Straight flows, and their shifts by resolution."""

from math import exp, log

import pytest

from dtool.schedulers import get_scheduler


def test_flow_and_its_shifts():
    table = get_scheduler("flow", T=8)
    assert table.sigma == pytest.approx([(i + 1) / 8 for i in range(8)], rel=1e-15)
    assert table.alpha[-1] == 0
    shifted = get_scheduler("flow:T=8,shift=3")
    assert shifted.sigma == pytest.approx(3 * table.sigma / (1 + 2 * table.sigma), rel=1e-12)
    assert get_scheduler(f"flow:T=8,mu={log(3)}").sigma == pytest.approx(shifted.sigma, rel=1e-12)
    for tokens, mu in ((256, 0.5), (4096, 1.15), (1024, 0.5 + 0.65 * 768 / 3840)):
        dynamic = exp(mu) / (exp(mu) + (1 / table.sigma - 1))
        assert get_scheduler(f"flow:T=8,tokens={tokens}").sigma == pytest.approx(dynamic, rel=1e-12)
    stretched = get_scheduler("flow:T=8,shift=3,terminal=0.1")
    assert stretched.sigma == pytest.approx(1 - (1 - shifted.sigma) * 0.9 / (1 - shifted.sigma[0]), rel=1e-12)
    assert stretched.sigma[[0, -1]] == pytest.approx([0.1, 1], rel=1e-12)
