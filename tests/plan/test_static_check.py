"""Tables that cannot be right are refused, each with its cause."""

import dataclasses
import math

import pytest

from dtool.errors import CompileError
from dtool.plan import plan
from dtool.plan.compiled_plan import COLUMNS

DAMAGE = {
    "not finite": ({"a": [math.nan, 1, 1]}, "row 0: a is not finite"),
    "too short": ({"c": [0.0]}, "column c has shape"),
    "history before the start": ({"b": [[1, 1], [1, 1], [1, 1]]}, "uses a prediction 1 rows back"),
    "negative noise": ({"c": [0, -1, 0]}, "row 1 scales its noise by a negative number"),
    "no end": ({"step_end": [True, True, False]}, "does not end a step"),
    "nothing saved": ({"a_saved": [0, 1, 0]}, "before any was saved"),
    "initial scale": ({"init": 0.0}, "initial scale"),
    "prediction": ({"prediction": "noise"}, "unknown prediction"),
    "basis": ({"basis": "v"}, "basis"),
    "empty": ({c: [] for c in COLUMNS}, "no rows"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_what_cannot_be_right_is_refused(name):
    changes, cause = DAMAGE[name]
    with pytest.raises(CompileError, match=cause):
        dataclasses.replace(plan("ddim", steps=3), **changes)


@pytest.mark.parametrize("low", [0.0, 2.0])
def test_bounds_that_cannot_be(low):
    made = plan("ddpm", steps=3)
    with pytest.raises(CompileError, match="0 < c_low"):
        dataclasses.replace(made, c_low=low * made.c)
