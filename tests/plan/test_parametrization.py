"""The words for a prediction: how EDM's σ_data is read, written, and kept to the last digit."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dtool
from dtool.errors import UsageError
from dtool.plan.parametrization import BASIC_PREDICTIONS, normalize_prediction, parse_sigma_data


@pytest.mark.parametrize("word", BASIC_PREDICTIONS)
def test_a_basic_prediction_has_no_sigma_data_and_stays_as_it_is(word):
    assert parse_sigma_data(word) is None
    assert normalize_prediction(word) == word


def test_the_words_are_those_of_the_literature():
    assert BASIC_PREDICTIONS == ("eps", "x0", "v", "flow")


@pytest.mark.parametrize(
    ("word", "value", "written"),
    [
        ("edm", 0.5, "edm:sigma_data=0.5"),
        ("edm:sigma_data=0.5", 0.5, "edm:sigma_data=0.5"),
        ("edm:sigma_data=0.50", 0.5, "edm:sigma_data=0.5"),
        ("edm:sigma_data=5e-1", 0.5, "edm:sigma_data=0.5"),
        ("edm:sigma_data=1", 1.0, "edm:sigma_data=1"),
        ("edm:sigma_data=1e-05", 1e-5, "edm:sigma_data=1e-05"),
    ],
)
def test_the_same_number_is_written_in_one_way(word, value, written):
    assert parse_sigma_data(word) == value
    assert normalize_prediction(word) == written


@given(st.floats(min_value=1e-6, max_value=1e6))
def test_no_digit_of_sigma_data_is_lost(value):
    """√(1/3), say, is what a model's file holds: rounded to six digits, every image would be off by 1e-7."""
    written = normalize_prediction(f"edm:sigma_data={value!r}")
    assert parse_sigma_data(written) == value
    assert normalize_prediction(written) == written


@pytest.mark.parametrize("number", ["0", "-0.5", "1-2", "1e999", "e", ".", "1e-999"])
def test_what_is_no_standard_deviation_is_refused(number):
    with pytest.raises(UsageError) as error:
        parse_sigma_data(f"edm:sigma_data={number}")
    assert str(error.value) == f"sigma_data={number} is no standard deviation"
    assert error.value.hint == "give a number above 0"


@pytest.mark.parametrize("word", [
    "edm:", "edm:sigma_data=", "edm:sigma_data=nan", "edm:sigma=1", "edm ", "EDM", "", "edm:sigma_data=1_0",
    "edm:sigma_data=0.5\n", "edm:sigma_data=" + "1" * 41,
])  # fmt: skip
def test_what_is_no_prediction_is_refused(word):
    with pytest.raises(UsageError, match=r"^there is no prediction "):
        parse_sigma_data(word)


def test_a_word_that_is_near_gets_a_hint():
    with pytest.raises(UsageError) as error:
        normalize_prediction("epss")
    assert (str(error.value), error.value.hint) == ("there is no prediction 'epss'", "did you mean eps?")


def test_a_network_and_its_plan_speak_of_it_in_one_way():
    third = math.sqrt(1 / 3)
    network = dtool.network(lambda x, t: 0 * x, shape=(2,), schedule="edm", prediction=f"edm:sigma_data={third}")
    assert network.prediction == f"edm:sigma_data={third!r}"
    made = dtool.plan("euler", steps=3, network=network)
    assert made.prediction == network.prediction
    assert dtool.Plan.from_json(made.to_json()).hash == made.hash
    assert dtool.plan.adapt_to_network(made, network.schedule, network.prediction) is made


def test_a_network_whose_prediction_is_a_wrong_word_is_refused():
    with pytest.raises(UsageError) as error:
        dtool.network(lambda x, t: x, shape=(2,), prediction="edm:sigma_data=0")
    assert str(error.value) == "prediction='edm:sigma_data=0' is refused"
    assert error.value.hint == "sigma_data=0 is no standard deviation (give a number above 0)"
