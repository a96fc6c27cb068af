"""What guidance is: a function of the level with options, and names that are read as they are written."""

from __future__ import annotations

from dataclasses import replace
from math import inf, isinf

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dtool
from dtool.errors import DtoolError, UsageError
from dtool.guidances import Guidance, Guided, Level, get_guidance
from dtool.guidances.guidance import guidance as guidance_of
from dtool.plugins.isolation import Origin
from dtool.plugins.registry import get_registry

MIDDLE = Level(alpha=0.8, sigma=0.6, lam=0.288, progress=0.5)
SCALES = st.floats(0, 1e6)
ENDS = st.floats(-50, 50)


@given(scale=SCALES, low=ENDS, high=ENDS)
def test_a_short_form_is_its_options(scale, low, high):
    found = get_guidance(f"{scale!r}@{low!r}:{high!r}")
    assert dict(found.options) == {"scale": scale, "low": low, "high": high, "rescale": 0.0}
    assert get_guidance(found.token) == found


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("3", {"scale": 3}), (" 3 ", {"scale": 3}), ("3@:0.3", {"scale": 3, "high": 0.3}), ("0", {"scale": 0}),
        ("3@-1.3:", {"scale": 3, "low": -1.3}), ("1e1@:", {"scale": 10}), ("3@-inf:inf", {"scale": 3}),
    ],
)  # fmt: skip
def test_an_end_may_be_left_out(text, options):
    assert get_guidance(text) == get_guidance("cfg", **options)


@given(
    name=st.sampled_from([entry.name for entry in get_registry().guidances]),
    scale=st.none() | SCALES,
    rescale=st.floats(0, 1),
)
def test_a_token_is_read_as_it_is_written(name, scale, rescale):
    found = get_guidance(name, **({} if scale is None else {"scale": scale}), rescale=rescale)
    assert get_guidance(found.token) == found
    assert (found.scale, found.rescale) == (scale, rescale)
    recipe = dtool.Recipe.parse(f"ddim@cosine/karras~{found.token}")
    assert str(dtool.Recipe.parse(str(recipe))) == str(recipe)
    assert recipe.guidance == found


@given(text=st.text("0123456789.@:-+einfx ~/,=abc", max_size=12))
def test_any_other_text_is_refused_in_words(text):
    said = None
    try:
        found = get_guidance(text)
    except DtoolError as error:
        said = error
    if said is None:
        assert get_guidance(found.token) == found
    else:
        assert str(said)
        assert said.hint


@pytest.mark.parametrize(
    "text", ["nan", "inf", "-1", "3@a:b", "3@1", "3@nan:1", "cfg:scale=-1", "cfg:rescale=2", "late"]
)
def test_what_is_no_guidance_is_refused(text):
    with pytest.raises(UsageError):
        get_guidance(text)


def test_an_interval_is_closed():
    bound = get_guidance("3@-1:0.288")
    levels = [MIDDLE._replace(lam=lam) for lam in (-1.0001, -1, 0, 0.288, 0.2881, inf, -inf)]
    assert [bound(level).strength for level in levels] == [0, 1, 1, 1, 0, 0, 0]
    assert [get_guidance("3")(level).strength for level in levels] == [1] * 7


def test_cfgpp_moves_x_by_alpha_and_has_no_limit():
    bound = get_guidance("cfgpp:scale=0.6")
    assert bound(MIDDLE) == Guided(1.0, 0.8)
    assert not bound.has_limit
    assert get_guidance("3").has_limit


@pytest.mark.parametrize("name", ["cfg-linear", "cfg-cosine"])
def test_schedulers_of_the_weight_begin_at_none_and_have_the_whole_excess_on_average(name):
    bound = get_guidance(name)
    strengths = [bound(MIDDLE._replace(progress=(i + 0.5) / 1000)).strength for i in range(1000)]
    assert sum(strengths) / 1000 == pytest.approx(1, abs=1e-6)
    assert bound(MIDDLE._replace(progress=0)).strength == 0
    assert bound(MIDDLE._replace(progress=1)).strength == pytest.approx(2)
    assert strengths == sorted(strengths)


def test_a_guidance_of_ones_own_has_options_beside_the_common_ones():
    @guidance_of("late", cite="here")
    def late(level, *, since: float = 0.0):
        """From a level on."""
        return level.lam > since

    assert late(MIDDLE) == Guided(1.0, 0.0)
    assert late.bind(since=0.5)(MIDDLE).strength == 0
    assert (late.doc, late.scale, late.rescale) == ("From a level on.", None, 0.0)
    assert late.bind(since=0.5, scale=2).token == "late:since=0.5,scale=2.0"
    with pytest.raises(UsageError, match="has no option 'until'"):
        late.bind(until=1)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Guided(1, float("nan"))])
def test_numbers_that_are_not_finite_are_refused(value):
    wrong = guidance_of("wrong")(lambda level: value)
    with pytest.raises(UsageError, match="guidance wrong gives"):
        wrong(MIDDLE)


def test_what_a_plugins_function_raises_names_it():
    broken = replace(guidance_of("broken")(lambda level: 1 / 0), origin=Origin("guidance", "broken", "other", "1.0"))
    with pytest.raises(DtoolError, match=r"broken of other.*cannot guide as broken"):
        broken(MIDDLE)


def test_every_registered_guidance_is_finite_everywhere_and_documented():
    for entry in get_registry().guidances:
        bound = get_guidance(entry.name)
        assert isinstance(bound, Guidance)
        assert bound.doc
        assert bound.cite
        for lam in (-inf, -4.0, 0.0, 4.0, inf):
            for progress in (0.0, 0.5, 1.0):
                found = bound(Level(0.0 if lam == -inf else 0.7, 0.0 if lam == inf else 0.7, lam, progress))
                assert not isinf(found.strength)
