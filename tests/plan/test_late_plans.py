"""A plan at every strength: as one table, from which each strength takes the rows of its own plan, in order."""

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from dtool.plan.late_plans import iterate_late_plans, pack_at_every_strength, start_late
from dtool.plan.packed import ALWAYS, Room, pack

STEPS = 7
RECIPES = [
    "ddim", "ddpm", "heun", "dpmpp-2m/karras", "unipc:order=3", "dpmpp-3m-sde", "deis", "dpmpp-2s-ancestral",
    "ddpm/repaint:jump_length=2,jump_n=2", "dpmpp-2m~cfgpp:scale=0.6", "plms", "sa-solver",
]  # fmt: skip


@pytest.fixture
def network():
    return dtool.network(lambda x, t: 0.3 * x, shape=(2,))


def tell(times):
    return times + 1


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_strength_takes_the_rows_of_its_own_plan(network, recipe):
    plan = dtool.plan(recipe, steps=STEPS, network=network)
    late = list(iterate_late_plans(network, plan))
    need = [Room.for_plan(each) for each in late]
    room = Room(max(each.history for each in need), max((each.gaps or 0) for each in need), edits=True)
    packed = pack_at_every_strength(network, plan, True, room, tell)
    first, end = packed.table[:, -2], packed.table[:, -1]
    assert packed.init == np.float32(plan.init)
    for taken in range(STEPS + 1):
        strength = np.float32(taken / STEPS)
        chosen = (first <= strength) & (strength < end)
        if taken == 0:
            assert not chosen.any()
            continue
        own = pack(late[taken - 1], True, room, times=tell(late[taken - 1].time))
        assert np.array_equal(packed.table[chosen, :-2], own.table[:, :-2])
        assert np.array_equal(packed.times[chosen], own.times)
        assert late[taken - 1] == start_late(network, plan, taken / STEPS)
        if taken < STEPS:
            assert np.array_equal(chosen, (first <= strength + 0.9 / STEPS) & (strength + 0.9 / STEPS < end))


def test_what_the_plans_have_alike_is_there_once(network):
    plan = dtool.plan("ddpm", steps=STEPS, network=network)
    assert len(pack_at_every_strength(network, plan, False, Room(0, edits=True), tell).table) == plan.rows
    plan = dtool.plan("dpmpp-2m", steps=STEPS, network=network)
    packed = pack_at_every_strength(network, plan, False, Room(1, edits=True), tell)
    assert len(packed.table) == 2 * plan.rows - 2  # each row once more as a first one, but the first and the last


def test_a_plan_by_itself_is_run_at_every_strength_above_0():
    table = pack(dtool.plan("ddim", steps=3), False, Room(0, edits=True)).table
    assert table[:, -2:].tolist() == [[np.float32(number) for number in ALWAYS]] * 3


def test_rows_that_cannot_be_made_again_are_refused(network):
    plan = dtool.plan("dpmpp-2m", points=[900, 500, 100, 50], network=network)
    with pytest.raises(UsageError, match="its recipe makes another plan"):
        start_late(network, plan, 0.5)
    with pytest.raises(UsageError, match="its recipe makes another plan"):
        list(iterate_late_plans(network, plan))


@pytest.mark.parametrize("recipe", ["ddim", "dpmpp-2m", "ddpm/repaint"])
def test_a_late_plan_is_that_of_its_recipe(network, recipe):
    plan = dtool.plan(recipe, steps=10, network=network)
    assert start_late(network, plan, 1) is plan
    assert start_late(network, plan, 0.5) == dtool.plan(recipe, steps=10, network=network, strength=0.5)


def test_an_inverse_plan_has_no_late_start(network):
    with pytest.raises(UsageError, match="from an image to its noise"):
        start_late(network, dtool.plan("ddim-inversion", steps=10, network=network), 0.5)


def test_the_rows_of_a_plan_of_own_points_are_cut_off(network):
    plan = dtool.plan("ddim", points=[900, 500, 100, 50], network=network)
    assert np.array_equal(start_late(network, plan, 0.5).alpha, plan.alpha[2:])
