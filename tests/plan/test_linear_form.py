"""Symbolic linear forms: their algebra, and what is refused."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtool.errors import CompileError
from dtool.plan.linear_form import LinearForm
from tests.support.steps import compiled

numbers = st.floats(-1e3, 1e3)


@given(st.lists(numbers, min_size=3, max_size=3), st.lists(numbers, min_size=3, max_size=3), numbers)
def test_a_form_is_a_vector(left, right, factor):
    a, b = LinearForm(dict(enumerate(left))), LinearForm(dict(enumerate(right)))
    made = factor * (a + b) - b / 2 + -a * 0.5
    expected = factor * (np.array(left) + right) - np.array(right) / 2 - 0.5 * np.array(left)
    assert [made.terms[i] for i in range(3)] == pytest.approx(expected.tolist(), rel=1e-9, abs=1e-6)
    assert (a.terms, b.terms) == (dict(enumerate(left)), dict(enumerate(right))), "immutable"


# Whole numbers, so that float64 is exact and the laws hold to the bit.
whole = st.integers(-1000, 1000).map(float)
forms = st.dictionaries(st.integers(0, 5), whole, max_size=4).map(LinearForm)


def terms_of(form):
    """The terms, but for those that are 0: x - x and nothing are one form."""
    return {symbol: value for symbol, value in form.terms.items() if value != 0}


@settings(max_examples=50, deadline=None)
@given(forms, forms, forms)
def test_sums_are_commutative_and_associative(a, b, c):
    assert terms_of(a + b) == terms_of(b + a)
    assert terms_of((a + b) + c) == terms_of(a + (b + c))
    assert terms_of(a - b) == terms_of(-(b - a)) == terms_of(a + (-b))
    assert terms_of(a - a) == {}
    assert terms_of(a + LinearForm({})) == terms_of(a)


@settings(max_examples=50, deadline=None)
@given(forms, forms, whole, whole)
def test_scaling_is_distributive_and_commutative(a, b, p, q):
    assert (p * a).terms == (a * p).terms
    assert terms_of(p * (a + b)) == terms_of(p * a + p * b)
    assert terms_of((p + q) * a) == terms_of(p * a + q * a)
    assert terms_of(p * (q * a)) == terms_of((p * q) * a)
    assert terms_of(a / 4 * 4) == terms_of(a)
    assert terms_of(-1 * a) == terms_of(-a)


@settings(max_examples=50, deadline=None)
@given(forms, forms, whole.filter(bool))
def test_products_of_forms_and_sums_with_numbers_are_refused_and_change_nothing(a, b, number):
    before = dict(a.terms), dict(b.terms)
    for operation in (
        lambda: a * b, lambda: a / b, lambda: number / a, lambda: a**2, lambda: a + number, lambda: number - a,
        lambda: a * [number], lambda: a < b, lambda: bool(a), lambda: np.exp(a), lambda: abs(a),
    ):  # fmt: skip
        with pytest.raises(CompileError, match="not linear") as error:
            operation()
        assert error.value.hint
    assert (a.terms, b.terms) == before


@pytest.mark.parametrize("number", [2, 2.0, np.float64(2), np.float32(2), np.int64(2)])
def test_numbers_of_every_kind_scale_a_form(number):
    form = LinearForm({0: 1.5})
    assert (number * form).terms == (form * number).terms == {0: 3.0}
    assert (form / number).terms == {0: 0.75}
    assert (0 + form).terms == (form + 0).terms == (form - 0).terms == (+form).terms == form.terms
    assert sum([form, form]).terms == {0: 3.0}


NOT_LINEAR = {
    "product": (lambda x: x * x, "a symbol"),
    "quotient": (lambda x: 1 / x, "dividing by a symbol"),
    "power": (lambda x: x**2, r"\*\*"),
    "sum with a number": (lambda x: x + 1.0, r"\+ with a float"),
    "difference": (lambda x: x - 1.0, r"\+ with a float"),
    "abs": (abs, r"abs\(\)"),
    "math": (math.exp, "function of a symbol"),
    "numpy": (np.tanh, "numpy.tanh of a symbol"),
    "clip": (lambda x: np.clip(x, -1, 1), "not linear"),
    "maximum": (lambda x: np.maximum(x, 0), "numpy.maximum of a symbol"),
    "comparison": (lambda x: x if x > 0 else -x, "comparison"),
    "truth": (lambda x: x or 0, "decision"),
    "method": (lambda x: x.clip(-1, 1), ".clip of a symbol"),
    "index": (lambda x: x[0], "a part of a symbol"),
    "array": (lambda x: np.array([1.0, 2.0]) * x, "a ndarray"),
    "array, on the right": (lambda x: x * np.array([1.0, 2.0]), "a ndarray"),
    "array, added": (lambda x: np.array([1.0, 2.0]) + x, "a ndarray"),
    "constant": (lambda _: 0.5, "float, which is not a linear form"),
    "nothing": (lambda _: None, "NoneType, which is not a linear form"),
}


@pytest.mark.parametrize("name", NOT_LINEAR)
def test_a_rule_that_is_not_linear_is_told_why(name):
    operation, cause = NOT_LINEAR[name]
    with pytest.raises(CompileError, match=cause) as error:
        compiled(lambda now, to: operation(now.x0))
    assert str(error.value).startswith("mine, from λ=")
    assert error.value.hint
    assert error.value.exit_code == 2


def test_numbers_of_numpy_keep_their_side():
    form = LinearForm({0: 1.5})
    assert (np.float64(0) - form).terms == (-form).terms
    assert (np.float64(0) + form).terms == form.terms
    with pytest.raises(CompileError, match="dividing by a symbol"):
        np.float64(2) / form
