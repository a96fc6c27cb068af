"""What spacings and guidances have in common: a name, options that are bound, and how both are written."""

import pytest

import dtool
from dtool.errors import UsageError
from dtool.plugins.bound_function import BoundFunction, list_defaults
from dtool.util.options import build_options_model


def make_even(place, *, first: int, step: float = 2.0):
    """Every so many.

    More of it.
    """
    return place, first, step


def common(*, end: str = "zero"):
    """What each of the kind has."""


def make_bound():
    sources = (make_even, common)
    return BoundFunction(name="even", function=make_even, cite="", sources=sources, options=list_defaults(*sources))


def test_defaults_are_the_options_that_need_not_be_given():
    assert dict(make_bound().options) == {"step": 2.0, "end": "zero"}


def test_the_model_is_built_when_it_is_needed():
    """And once: it takes milliseconds, and a file of spacings has eleven."""
    build_options_model.cache_clear()
    bound = make_bound()
    assert build_options_model.cache_info().currsize == 0
    assert list(bound.model.model_fields) == ["first", "step", "end"]
    assert bound.bind(first=3).model is bound.model
    assert build_options_model.cache_info().currsize == 1


def test_it_is_written_as_it_is_bound():
    bound = make_bound().bind(first="3", end="last")
    assert bound.token == "even:first=3,end=last"
    assert bound.doc == "Every so many.\n\nMore of it."
    assert make_bound().name == bound.name
    with pytest.raises(UsageError, match="even"):
        make_bound().bind(second=1)


def test_the_function_gets_its_own_options_alone():
    assert make_bound().bind(first=3).list_arguments({"end"}) == {"first": 3, "step": 2.0}


@pytest.mark.parametrize("get", [dtool.get_spacing, dtool.get_guidance])
def test_both_kinds_keep_their_class(get):
    one = get("karras" if get is dtool.get_spacing else "cfgpp")
    assert isinstance(one, BoundFunction)
    assert type(one.bind()) is type(one)
