"""Exponential methods: what they carry exactly, and the classical methods that they become in short steps."""

import pytest

from dtool.samplers import exponential_runge_kutta
from dtool.samplers.engines.tableau import Tableau, phi
from tests.support.tableaux import as_arrays, conditions, recorded


@pytest.mark.parametrize("h", [1e-6, 0.1, 1.0, 5.0])
def test_exponential_methods_carry_a_constant_exactly(h, monkeypatch):
    """Row i adds to c_i·φ_1(-c_i·h), b to φ_1(-h); and to lowest order they are classical."""
    made = recorded(monkeypatch, exponential_runge_kutta, "exponential")
    assert [name for name, _ in made] == ["res-3s", "res-5s", "res-6s", "etdrk3", "etdrk4", "krogstad"]
    for _, given in made:
        a, b = given["weights"](lambda k, part: phi(k, -part * h))
        for part, row in zip(given["c"], a, strict=True):
            assert sum(row) == pytest.approx(part * phi(1, -part * h) if row else 0, rel=1e-12)
        assert sum(b) == pytest.approx(phi(1, -h), rel=1e-12)
        if h == 1e-6:
            left = conditions(*as_arrays(Tableau(given["c"], a, b)))
            assert max(abs(one) for order in range(1, given["order"] + 1) for one in left[order]) < 1e-5
