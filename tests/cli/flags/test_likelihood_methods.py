"""The bound and the ODE have flags of their own, and those of the other are refused."""

from dataclasses import fields
from pathlib import Path

import pytest

from dtool.cli.flags.likelihood_methods import DEFAULT_STEPS, BoundFlags, OdeFlags, require_one_method
from dtool.errors import UsageError

BOUND = {
    "steps": "5", "variance": "beta", "stats": Path("s.json"), "scheduler": "cosine", "spacing": "karras",
    "clip": False, "output": Path("x.png"),
}  # fmt: skip
ODE = {"trace": "exact", "probes": 2, "tolerance": 1e-3}


def test_every_flag_is_of_one_method():
    assert {field.name for field in fields(BoundFlags)} == BOUND.keys()
    assert {field.name for field in fields(OdeFlags)} == {"ode", *ODE}
    require_one_method(BoundFlags(**BOUND), OdeFlags(), 8)
    require_one_method(BoundFlags(), OdeFlags(ode=True, **ODE), None)


@pytest.mark.parametrize("name", [*BOUND, "batch_size"])
def test_a_flag_of_the_bound_is_refused_with_the_ode(name):
    flags = BoundFlags(**({} if name == "batch_size" else {name: BOUND[name]}))
    with pytest.raises(UsageError, match=f"--{name.replace('_', '-')} is for the bound") as error:
        require_one_method(flags, OdeFlags(ode=True), 8 if name == "batch_size" else None)
    assert "leave --ode out" in error.value.hint


@pytest.mark.parametrize("name", ODE)
def test_a_flag_of_the_ode_is_refused_without_it(name):
    with pytest.raises(UsageError, match=f"--{name} is for --ode") as error:
        require_one_method(BoundFlags(), OdeFlags(**{name: ODE[name]}), None)
    assert "add --ode" in error.value.hint


def test_steps_are_a_number_or_all():
    assert [BoundFlags(steps=text).parse_steps() for text in (None, "7", "all")] == [DEFAULT_STEPS, 7, "all"]
    for text in ("0", "few", "-1", "1.5", ""):
        with pytest.raises(UsageError, match=f"--steps {text}: not a number of steps"):
            BoundFlags(steps=text).parse_steps()
