"""What is derived from a plan."""

import pytest

from dtool.plan import plan
from dtool.plan.packed import Room, pack
from dtool.plan.steps import make_table


@pytest.mark.parametrize("recipe", ["ddpm", "dpmpp-2m", "heun"])
def test_what_is_derived_from_a_plan_is_made_once_and_nobody_writes_to_it(recipe):
    made, again = (plan(recipe, steps=5) for _ in range(2))
    for limited in (False, True):
        one = make_table(made, limited)
        assert one is make_table(made, limited)
        assert one is not make_table(again, limited)
        packed = pack(made, limited, Room(2))
        assert packed is pack(made, limited, Room(2))
        assert packed is not pack(made, limited, Room(3))
        for column in (one.a, one.d, one.m_x, packed.table, packed.times):
            with pytest.raises(ValueError, match="read-only"):
                column[0] = 1
    assert made == again
    assert made.to_json() == again.to_json()
