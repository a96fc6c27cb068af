"""A conditioner is what its decorator makes of a function, and a stranger's is registered like any other thing."""

import dtool
from dtool.models.conditioner import Conditioner, conditioner
from dtool.models.conditions import Condition
from dtool.plugins.registry import get_registry
from tests.plugins.conftest import install, install_package  # noqa: F401 - fixtures
from tests.support.plugin_packages import HOOK

VECTOR = Condition(name="c", shape=(3,))


@conditioner("ramp", summary="a ramp of this height")
def ramp(words, condition):
    """From nothing to so much."""
    return [float(words) * i for i in range(condition.shape[0])]


def test_the_decorator_makes_a_conditioner():
    assert isinstance(ramp, Conditioner)
    assert (ramp.name, ramp.summary, ramp.origin, ramp.doc) == (
        "ramp", "a ramp of this height", None, "From nothing to so much.",
    )  # fmt: skip
    assert ramp.make("2", VECTOR) == [0, 2, 4]
    assert VECTOR.read(ramp.make("2", VECTOR), 2).tolist() == [[0, 2, 4]] * 2
    assert conditioner("none")(lambda *of: None).doc == ""
    assert dtool.conditioner is conditioner


def test_the_built_in_ones_are_found_by_name():
    names = [entry.name for entry in get_registry().conditioners.iterate_by_need(installed=False)]
    assert names == ["number", "npy", "image", "resize"]
    assert get_registry().conditioners.get("number").make("2", VECTOR).tolist() == [2, 2, 2]


def test_a_stranger_s_conditioner_is_found_by_its_name(install):  # noqa: F811
    install(HOOK + '''
import dtool
@dtool.conditioner("mine")
def letters(words, condition):
    """How many letters."""
    return [len(words)] * condition.shape[0]
@hookimpl
def register_conditioners(register):
    register("letters", letters)
''')  # fmt: skip
    found = get_registry().conditioners.get("letters")
    assert (found.name, str(found.origin)) == ("letters", "conditioner letters of bad-one 1.2")
    assert found.make("abcd", VECTOR) == [4, 4, 4]
