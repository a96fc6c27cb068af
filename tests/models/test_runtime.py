"""Where a network runs: the object, and that functions which take its fields by keyword take all of them."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest

import dtool
from dtool.errors import UsageError
from dtool.models.runtime import Runtime, RuntimeOptions


def test_functions_that_take_the_fields_by_keyword_take_all_of_them():
    assert {"device", *RuntimeOptions.__annotations__} == {field.name for field in fields(Runtime)}


def test_the_changes_make_the_same_object_again():
    assert Runtime().changes() == {}
    runtime = Runtime(device="cuda:1", time_limit=0, cuda_graph=True)
    assert runtime.changes() == {"device": "cuda:1", "time_limit": 0, "cuda_graph": True}
    assert Runtime(**runtime.changes()) == runtime


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        ({"backend": "jax"}, "there is no backend 'jax'"),
        ({"device": 3}, "device=3 is not a text"),
        ({"time_limit": "long"}, "time_limit='long' is not a number"),
        ({"compile": "yes"}, "compile='yes' is not True or False"),
    ],
)
def test_values_that_cannot_be(arguments, cause):
    with pytest.raises(UsageError, match=cause):
        Runtime(**arguments)
    with pytest.raises(UsageError, match=cause):
        dtool.load("there-is-none.onnx", **arguments)
    with pytest.raises(UsageError, match=cause):
        dtool.default_network(**arguments)


def test_it_is_made_by_keyword_and_stays_as_it_is():
    with pytest.raises(TypeError, match="positional"):
        Runtime("cpu")
    with pytest.raises(FrozenInstanceError):
        Runtime().device = "cpu"
    with pytest.raises(TypeError, match="devise"):
        dtool.load("there-is-none.onnx", devise="cpu")
