"""The table: its JSON and its types; nobody can change it."""

import dataclasses
import json

import numpy as np
import pytest

from dtool.certify import grids
from dtool.plan import Plan, plan
from dtool.plan import compile as compile_plan
from dtool.plan.compiled_plan import COLUMNS
from dtool.samplers import get_sampler
from tests.support.rules import configurations, dpmpp_3m, dpmpp_sde, predictor_corrector

RULES = [*map(get_sampler, configurations()), dpmpp_3m(2), predictor_corrector, dpmpp_sde]


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.token)
def test_json_gives_the_same_bits(rule):
    made = compile_plan(rule, grids.random_grid(9, 7, clean=True), prediction="x0", recipe="a “recipe”\n")
    text = made.to_json()
    again = Plan.from_json(text)
    assert again == made
    assert (again.hash, hash(again), again.to_json()) == (made.hash, hash(made), text)
    for column in COLUMNS:
        assert getattr(again, column).tobytes() == getattr(made, column).tobytes(), column
    json.loads(text, parse_constant=pytest.fail)  # plain JSON: no NaN, no Infinity


def test_a_plan_cannot_be_changed():
    made = plan("ddim", steps=3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.a = np.zeros(3)
    for column in COLUMNS:
        with pytest.raises(ValueError, match="read-only"):
            getattr(made, column)[0] = 1
    mine = np.array(made.a)
    other = dataclasses.replace(made, a=mine)
    mine[0] = 9.0
    assert other.a[0] == made.a[0], "the plan holds a copy"
    assert len({made, other, plan("ddim", steps=4)}) == 2


@pytest.mark.parametrize("token", configurations())
def test_float64_throughout(token):
    made = plan(token, steps=7)
    assert {getattr(made, c).dtype for c in COLUMNS if c not in ("save", "step_end")} == {np.dtype(np.float64)}
