"""Who takes part in a comparison."""

from __future__ import annotations

import numpy as np
import pytest

import dtool
from dtool.compare.contestants import list_contestants
from dtool.errors import UsageError
from tests.support.commandline import network


def test_a_comparison_of_nothing_is_refused():
    net = network()
    with pytest.raises(UsageError, match="no recipe to compare"):
        dtool.compare(net, [])
    with pytest.raises(UsageError, match="no number of steps"):
        dtool.compare(net, ["ddim"], steps=[])
    with pytest.raises(UsageError, match="nothing would be timed"):
        dtool.compare(net, ["ddim"], repeats=0)


@pytest.mark.parametrize("recipe", ["ddim~cfgpp", "ddim~cfgpp:rescale=0.5", "heun~cfg-cosine"])
def test_a_number_is_the_scale_of_a_guidance_that_is_named_without_one(recipe):
    """As in `dtool.sample`: the same rows, and the same pictures."""
    net = network()
    [name], [plan] = list_contestants(net, [recipe], [3], 0.6)
    assert (name, plan.scale) == (recipe, 0.6)
    sampled = dtool.sample(net, recipe, steps=3, n=2, guidance=0.6)
    assert np.array_equal(dtool.sample(net, plan, n=2).x0, sampled.x0)
    names, plans = list_contestants(net, [recipe, "ddim~2"], [3], ["0.6", "3@-1.3:0.3", 2])
    joint = "," if ":" in recipe else ":"
    assert names == [f"{recipe}{joint}scale=0.6", f"{recipe}{joint}scale=2", "ddim~2"]
    assert [one.scale for one in plans] == [0.6, 2.0, 2.0]
    assert [one.scale for one in list_contestants(net, [recipe], [3], "3@-1.3:0.3")[1]] == [None]


def test_guidance_is_for_the_recipes_that_name_none_and_several_are_columns():
    net = network()
    names, plans = list_contestants(net, ["ddim", "heun~2@-1:0"], [3], ["1", 3, "3@-1.3:0.3"])
    assert names == ["ddim~1", "ddim~3", "ddim~3@-1.3:0.3", "heun~2@-1:0"]
    assert [plan.scale for plan in plans] == [1.0, 3.0, 3.0, 2.0]
    assert len({plan.hash for plan in plans}) == 4
    names, plans = list_contestants(net, ["ddim", "ddim~3"], [3], 3)
    assert (names, len(plans)) == (["ddim"], 1), "one and the same"
    names, plans = list_contestants(net, ["ddim"], [3])
    assert plans[0] == dtool.plan("ddim", steps=3, network=net)
    with pytest.raises(UsageError, match="there is no guidance in the list"):
        list_contestants(net, ["ddim"], [3], [])
    for wrong, cause in ((-1, "guidance -1 is no scale"), ("nobody's", "guidance"), (["1", "inf"], "inf is no scale")):
        with pytest.raises(UsageError, match=cause):
            list_contestants(net, ["ddim"], [3], wrong)
