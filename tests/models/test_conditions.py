"""Conditions: which arrays are read as what a network takes, for how many images, and which are refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import dtool
from dtool.errors import UsageError
from dtool.models.conditions import (
    TRIAL_LENGTH,
    Condition,
    ConditionPair,
    as_conditions,
    make_null_conditions,
    make_trial_conditions,
    read_conditions,
    split_label,
)

sizes = st.lists(st.integers(1, 3) | st.none(), max_size=3).map(tuple)
counts = st.integers(1, 5)


def fill_in(shape, length):
    return tuple(length if n is None else n for n in shape)


@given(sizes, counts, st.integers(1, 4), st.sampled_from(["float32", "int64", "int32", "bool"]))
def test_one_array_each_is_read_as_it_is(shape, count, length, dtype):
    values = np.random.default_rng(0).integers(0, 2, (count, *fill_in(shape, length))).astype(dtype)
    read = Condition(name="c", shape=shape, dtype=dtype).read(values, count)
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, values)


@given(sizes, counts, st.integers(1, 4))
def test_one_for_all_is_repeated(shape, count, length):
    value = np.random.default_rng(0).standard_normal(fill_in(shape, length)).astype(np.float32)
    condition = Condition(name="c", shape=shape)
    for given_as in (value, value.tolist(), value[None], value.astype(np.float64)):
        read = condition.read(given_as, count)
        assert read.shape == (count, *value.shape)
        assert all(np.array_equal(each, value) for each in read)


@given(sizes, counts, st.lists(st.integers(1, 4), max_size=5).map(tuple))
@settings(max_examples=200)
def test_a_shape_is_read_or_refused_as_the_rule_says(shape, count, actual):
    """One image's, or that with an axis of 1 or `count` before it; whatever is read has an entry per image."""
    condition, values = Condition(name="c", shape=shape), np.zeros(actual, np.float32)

    def fits(own):
        return len(own) == len(shape) and all(n in (None, m) for n, m in zip(shape, own, strict=True))

    if fits(actual) or (actual and fits(actual[1:]) and actual[0] in (1, count)):
        read = condition.read(values, count)
        assert len(read) == count
        assert condition.fits(read.shape[1:])
    else:
        with pytest.raises(UsageError) as error:
            condition.read(values, count)
        takes = f"{count} images; the network takes {condition.describe()} for each"
        assert str(error.value) == f"c has shape {actual} for {takes}"
        assert error.value.hint == "give one for all, or one each along the first axis"


def test_what_is_given_is_not_changed():
    own = np.ones((2, 3), np.float32)
    read = Condition(name="c", shape=(3,)).read(own[0], 2)
    read[:] = 5
    assert (own == 1).all()


@pytest.mark.parametrize(
    ("fields", "values", "cause"),
    [
        ({}, "text", "c is of type <U4"),
        ({}, [1j], "c is of type complex128"),
        ({}, [None], "c is of type object"),
        ({"shape": (2,)}, [[1, 2], [3]], "c=[[1, 2], [3]] is not an array"),
        ({"dtype": "int64"}, [0.5], "c is of type float64"),
        ({"dtype": "int32"}, [1.0], "c is of type float64"),
        ({}, [np.nan], "c holds NaN or infinity"),
        ({}, [-np.inf], "c holds NaN or infinity"),
        ({}, [1e39], "c holds 1e+39, which is no float32"),
        ({"dtype": "int32"}, [2**31], "c holds 2147483648, which is no int32"),
        ({"dtype": "int32"}, [-(2**31) - 1], "c holds -2147483649, which is no int32"),
        ({"dtype": "int64"}, np.array([2**63], np.uint64), "c holds 9223372036854775808, which is no int64"),
        ({"dtype": "bool"}, [2], "c holds 2, which is no bool"),
        ({"dtype": "bool"}, [0.5], "c holds 0.5, which is no bool"),
    ],
)
def test_what_is_no_array_of_its_type_is_refused(fields, values, cause):
    with pytest.raises(UsageError) as error:
        Condition(name="c", **fields).read(values, 1)
    assert str(error.value) == cause
    assert error.value.hint.startswith("give ")


@pytest.mark.parametrize(("dtype", "values"), [
    ("float32", [True]), ("float32", [3]), ("int64", [True]), ("bool", [1.0]), ("int32", [2**31 - 1]),
    ("float32", [3.4e38]),
])  # fmt: skip
def test_a_number_of_another_type_that_is_the_same_number_is_read(dtype, values):
    assert Condition(name="c", dtype=dtype).read(values, 1) == np.asarray(values).astype(dtype)


def test_a_length_that_varies_may_not_be_none_at_all():
    with pytest.raises(UsageError, match=r"^c has shape \(0, 4\) for 2 images; the network takes c float32 \(…, 4\)"):
        Condition(name="c", shape=(None, 4)).read(np.zeros((0, 4)), 2)


def test_it_is_named_as_it_is_written():
    assert Condition(name="text", shape=(None, 768)).describe() == "text float32 (…, 768)"
    assert Condition(name="size", dtype="int64").describe() == "size int64 ()"


@pytest.mark.parametrize("fields", [
    {"name": ""}, {"name": "1a"}, {"name": "a b"}, {"name": "a" * 101}, {"name": "a\n"}, {"shape": (0,)},
    {"shape": (1,) * 9}, {"dtype": "float64"}, {"null": float("nan")}, {"null": float("inf")}, {"other": 1},
    {"dtype": "int64", "null": 0.5}, {"dtype": "bool", "null": 2}, {"dtype": "int32", "null": 2.0**31},
])  # fmt: skip
def test_what_is_no_condition_is_refused(fields):
    with pytest.raises(ValidationError):
        Condition(**{"name": "c"} | fields)


@given(sizes, counts, st.sampled_from([0.0, -1.0, 0.5]))
def test_the_null_value_fills_an_array_of_the_condition(shape, count, null):
    condition = Condition(name="c", shape=shape, null=null)
    made = condition.fill(count)
    assert made.shape == (count, *fill_in(shape, TRIAL_LENGTH))
    assert made.dtype == np.float32
    assert (made == null).all()
    like = np.zeros((count, *fill_in(shape, 2)), np.float32)
    assert condition.fill(count, like).shape == like.shape


def make_spec(*conditions, **fields):
    return dtool.NetworkSpec(shape=(2,), schedule="linear", conditions=conditions, **fields)


TEXT = Condition(name="text", shape=(None, 2), null=0)
SIZE = Condition(name="size", dtype="int64")


def test_what_is_not_given_is_its_null_value_or_an_error():
    spec = make_spec(TEXT, SIZE)
    read = read_conditions(spec, {"size": 7}, 3)
    assert list(read) == ["text", "size"]
    assert read["size"].tolist() == [7, 7, 7]
    assert (read["text"] == 0).all()
    with pytest.raises(UsageError) as error:
        read_conditions(spec, {"text": np.zeros((4, 2))}, 3)
    assert str(error.value) == "the network needs size int64 () for each image"
    assert error.value.hint == "give --condition size=FILE.npy (conditions={'size': …})"


def test_an_unknown_name_is_refused_with_what_is_near():
    with pytest.raises(UsageError) as error:
        read_conditions(make_spec(TEXT), {"texd": 1}, 3)
    assert (str(error.value), error.value.hint) == ("the network takes no condition 'texd'", "did you mean text?")
    with pytest.raises(UsageError) as error:
        read_conditions(make_spec(), {"text": 1}, 3)
    assert error.value.hint == "it takes x and a time alone"


def test_the_null_conditions_are_those_of_the_arrays_that_are_given():
    spec = make_spec(TEXT, SIZE, classes=4)
    told = read_conditions(spec, {"text": np.ones((5, 2)), "size": [1, 2, 3]}, 3) | {"label": np.array([0, 1, 2])}
    made = make_null_conditions(spec, told, None, 3)
    assert made["text"].shape == (3, 5, 2), "as long as the text, so that both are told in one call"
    assert (made["text"] == 0).all()
    assert made["size"].tolist() == [1, 2, 3], "it has no null value and stays"
    assert made["label"].tolist() == [4, 4, 4]
    assert made["label"].dtype == np.int64
    assert (told["text"] == 1).all()
    assert told["label"].tolist() == [0, 1, 2]


def test_what_is_said_comes_in_the_place_of_the_null_value():
    spec = make_spec(TEXT, SIZE)
    told = read_conditions(spec, {"text": np.ones((5, 2)), "size": [1, 2, 3]}, 3)
    made = make_null_conditions(spec, told, {"text": np.full((7, 2), 9)}, 3)
    assert (made["text"] == np.full((3, 7, 2), 9)).all()
    made = make_null_conditions(spec, told, {"size": 8}, 3)
    assert made["size"].tolist() == [8, 8, 8]
    assert (made["text"] == 0).all()


def test_a_label_without_a_null_class_stays():
    spec = make_spec(TEXT, classes=4, null_class=False)
    told = read_conditions(spec, {}, 2) | {"label": np.array([3, 1])}
    assert make_null_conditions(spec, told, None, 2)["label"].tolist() == [3, 1]


def test_with_nothing_to_compare_with_there_is_no_guidance():
    with pytest.raises(UsageError) as error:
        make_null_conditions(make_spec(SIZE), {"size": np.array([1, 2])}, None, 2)
    says = "guidance compares with no condition, and this network was not trained to know a value for that"
    assert str(error.value) == says
    assert error.value.hint == "leave out guidance, or say what to compare with (--negative, without=)"


def test_labels_alone_are_conditions_called_label():
    labels = np.array([1, 2])
    assert as_conditions(None) == {}
    assert as_conditions(labels)["label"] is labels
    assert as_conditions({"text": 3}) == {"text": 3}
    assert split_label({"text": 3, "label": 1}) == ((1,), {"text": 3})
    assert split_label(None) == ((), {})


def test_splitting_leaves_the_conditions_as_they_are():
    own = {"text": 3, "label": 1}
    split_label(own)
    assert own == {"text": 3, "label": 1}


def test_a_pair_is_taken_image_by_image():
    pair = ConditionPair({"a": np.arange(5)}, {"a": -np.arange(5)}).take(np.array([3, 3, 0]))
    assert pair.given["a"].tolist() == [3, 3, 0]
    assert pair.without["a"].tolist() == [-3, -3, 0]
    assert ConditionPair({"a": np.arange(5)}).take(slice(2, 4)).without is None


def test_a_trial_has_something_for_every_condition():
    spec = make_spec(TEXT, SIZE, Condition(name="mask", shape=(3,), dtype="bool"), classes=4)
    made = make_trial_conditions(spec, 6, np.random.default_rng(0))
    assert {name: (array.shape, array.dtype.name) for name, array in made.items()} == {
        "label": ((6,), "int64"), "text": ((6, TRIAL_LENGTH, 2), "float32"), "size": ((6,), "int64"),
        "mask": ((6, 3), "bool"),
    }  # fmt: skip
    assert make_trial_conditions(make_spec(), 6, np.random.default_rng(0)) == {}


@pytest.mark.parametrize("name", ["x", "t", "label"])
def test_no_condition_has_a_name_that_is_taken(name):
    with pytest.raises(ValidationError, match="share a name, or one is called x, t or label"):
        make_spec(Condition(name=name))
    with pytest.raises(ValidationError, match="two conditions of text, text share a name"):
        make_spec(TEXT, TEXT)


def test_a_spec_keeps_its_conditions_in_json():
    spec = make_spec(TEXT, SIZE, time="u", prediction="edm:sigma_data=0.25")
    assert dtool.NetworkSpec.read(spec.model_dump_json(), "a file") == spec


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_number_is_one_for_all(count):
    assert Condition(name="scale").read(5.0, count).tolist() == count * [5.0]


def test_a_null_value_may_be_a_row():
    prompt = Condition(name="ids", shape=(3,), dtype="int64", null=(49406, 49407, 0))
    assert prompt.fill(2).tolist() == [[49406, 49407, 0]] * 2
    assert prompt.fill(2).dtype == np.int64
    assert Condition.model_validate_json(prompt.model_dump_json()) == prompt
    grid = Condition(name="c", shape=(2, 3), null=(0.0, 1.0, 2.0))
    assert grid.fill(1).tolist() == [[[0, 1, 2], [0, 1, 2]]]


@pytest.mark.parametrize(
    ("shape", "null", "words"),
    [
        ((3,), (1, 2), r"a row of 2 numbers, and its shape is \(3,\)"),
        ((None,), (1, 2), "a row of 2 numbers"),
        ((), (1, 2), "a row of 2 numbers"),
        ((2,), (1, 0.5), "its null value is refused"),
        ((2,), (1, float("nan")), "finite"),
        ((0,), (), "at least 1"),
    ],
)
def test_a_row_that_does_not_fit(shape, null, words):
    with pytest.raises(ValidationError, match=words):
        Condition(name="ids", shape=shape, dtype="int64", null=null)
