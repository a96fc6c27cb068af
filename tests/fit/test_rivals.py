"""Named recipes on a fit's noises: the best are found, late ones among them."""

import numpy as np

from dtool.fit.rivals import Contest, Entrant, list_late, list_named, list_stochastic
from dtool.fit.table import measure_rmse
from dtool.plan import plan as make_plan


def test_the_nearest_comes_first_and_what_is_not_finite_last(mixture_session):
    net = mixture_session.network
    noises, teacher = mixture_session.take("judging")
    spent = []
    contest = Contest(
        network=net,
        noises=noises,
        options={},
        measure=lambda images: measure_rmse(images, teacher.images[: len(images)]),
        on_call=spent.append,
    )
    entrants = [Entrant(f"{n}", make_plan("ddim", steps=n, network=net)) for n in (2, 8, 64)]
    ranked = contest.rank(entrants)
    assert [one.recipe for one, _ in ranked] == ["64", "8"]
    assert all(len(images) == len(noises) for _, images in ranked)
    assert sum(spent) > 0
    plan = make_plan("ddim", steps=4, network=net)
    [few], [all_] = (contest.draw([plan], count) for count in (3, 20))
    assert np.abs(few - all_[:3]).max() < 1e-12


def test_every_recipe_fits_into_the_budget_and_late_ones_begin_late(mixture_session):
    net = mixture_session.network
    named = list_named(net, 4, None)
    assert all(one.plan.rows <= 4 and one.late is None for one in named)
    assert {"ddim", "unipc/sgm-uniform"} <= {one.recipe for one in named}
    late = list_late(net, ["ddim", "ddim/karras", "unipc"], 4, None)
    assert {one.recipe.partition("/")[0] for one in late} == {"ddim", "unipc"}
    assert all(one.plan.time[0] == one.late < 999 for one in late)


def test_every_stochastic_recipe_is_there_once_whatever_its_names(mixture_session):
    found = list_stochastic(mixture_session.network, 4, None)
    recipes = {one.recipe for one in found}
    assert all(one.plan.stochastic and one.plan.rows <= 4 for one in found)
    assert {"ddpm", "dpmpp-2m-sde", "sa-solver"} <= recipes
    assert "euler-ancestral" not in recipes, "from the same noise it draws what ddpm does"
