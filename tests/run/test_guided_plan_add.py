"""The guidance of a plan as it will run."""

import pytest

import dtool
from dtool.errors import UsageError
from dtool.run.guided_plan import add_guidance, choose_told_scale, find_compared_rows, get_scale, uses_comparison


def test_a_plan_keeps_its_guidance_and_takes_one_where_it_names_none():
    network = dtool.targets.target("digits-gmm").network()
    spec = network.spec
    plain, named = dtool.plan("ddim", steps=4), dtool.plan("ddim~2", steps=4)
    assert add_guidance(spec, named, 3) is named
    assert add_guidance(spec, plain, None) is plain
    three = add_guidance(spec, plain, "3")
    assert (get_scale(spec, three), find_compared_rows(network, three).sum()) == (3.0, 4)
    assert not uses_comparison(network, add_guidance(spec, plain, 1))
    assert (choose_told_scale(network, [plain, three]), choose_told_scale(network, [plain])) == (3.0, 1.0)
    with pytest.raises(UsageError, match="guidance -1 is no scale"):
        add_guidance(spec, plain, -1)
