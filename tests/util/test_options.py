"""Options of recipes: how they are written, read, and refused."""

import json
import re
from typing import Literal

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import dtool
from dtool.errors import DtoolError, UsageError
from dtool.models.spec import NetworkSpec
from dtool.plugins.registry import get_registry
from dtool.util.options import build_options_model, check_options, describe_mistake, format_token, parse_token
from tests.support.archives import RAW
from tests.support.options import try_options


@pytest.mark.parametrize("recipe", ["ddim/karras:rho=0.005", "ddim@cosine:s=1e300"])
def test_numbers_that_go_too_far_are_said_in_words(recipe):
    with pytest.raises(DtoolError) as caught:
        dtool.plan(recipe, steps=3)
    assert not re.search(r"\(\(?3\d|range|division", str(caught.value))
    assert not RAW.search(str(caught.value))


def test_a_description_that_is_no_object_names_no_class():
    with pytest.raises(ValidationError) as caught:
        NetworkSpec.model_validate_json("3")
    assert describe_mistake(caught.value.errors()[0]) == "Input should be an object"


EXTREME = ("0", "-1", "1e-300", "0.005", "1e30", "1e308", "inf", "-inf", "nan", "", "x", "9" * 400)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", ["scheduler", "spacing"])
def test_extreme_options_are_refused_or_give_finite_levels(kind):
    tried = 0
    for entry in get_registry().schedulers if kind == "scheduler" else get_registry().spacings:
        fields = entry.load().model.model_fields
        needed = {name: "1" for name, field in fields.items() if field.is_required()}
        for name in fields.keys() - {"T", "base", "over"}:
            for value in EXTREME:
                tried += 1
                try:
                    made = getattr(dtool, f"get_{kind}")(entry.name, **needed | {name: value})
                    plan = dtool.plan("ddim", steps=1 if kind == "scheduler" and made.T == 1 else 2, **{kind: made})
                except UsageError:
                    continue
                assert np.isfinite(plan.alpha).all()
    assert tried > 500


def test_an_option_without_a_type_is_taken_as_it_is():
    def step(now, to, *, scale=1.0):
        return now, to, scale

    assert list(build_options_model(step).model_fields) == ["scale"]


def every_kind(
    *, text: str = "", count: int = 3, size: float = 0.5, on: bool = False, one_of: Literal["a", "b"] = "a"
) -> None:
    """Options of every kind."""


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "text": st.text(),
            "count": st.integers(),
            "size": st.floats(allow_nan=False),
            "on": st.booleans(),
            "one_of": st.sampled_from("ab"),
        },
    )
)
@settings(max_examples=50, deadline=None)
@example({"text": 'a "b",c=d\\'})
@example({"text": "/@:\n"})
def test_options_that_are_written_are_read_as_they_were(options):
    model = build_options_model(every_kind)
    values = check_options("it", model, options)
    name, written = parse_token(format_token("it", model, values))
    assert name == "it"
    assert check_options("it", model, written) == values


@given(st.text() | st.text(alphabet='ab:=,"\\@/ 1.').map(lambda text: f"it:{text}"))
@settings(max_examples=100, deadline=None)
def test_any_text_is_a_token_or_refused(text):
    read = try_options(lambda: parse_token(text))
    if read is None:
        return
    name, options = read
    assert name
    assert name == text.partition(":")[0]
    # Written again, with every value quoted, it says the same.
    again = name + (":" + ",".join(f"{key}={json.dumps(value)}" for key, value in options.items()) if options else "")
    assert parse_token(again) == (name, options)
