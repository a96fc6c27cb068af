"""The judgement of a fitted plan beside named recipes."""

import dtool
from dtool.targets import target


def test_it_is_judged_beside_named_recipes_at_the_same_and_at_twice_the_calls():
    plan = dtool.fit(target("gmm:d=2").network(), calls=3, noises=(24, 16, 24))
    held_out = plan.fit.held_out
    assert {rival.calls for rival in held_out.rivals} == {3, 6}
    assert any(rival.late is not None for rival in held_out.rivals)
    best = min(rival.rmse for rival in held_out.rivals if rival.calls == 3)
    assert held_out.rmse < 0.5 * best, "three calls of a fitted table on eight points of a circle"
    assert held_out.low <= held_out.rmse <= held_out.high
    out = dtool.sample(target("gmm:d=2").network(), plan, n=4)
    assert out.calls == 3
