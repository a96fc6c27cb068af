"""What is said of a file that does not say it itself."""

from __future__ import annotations

from dataclasses import fields

import pytest

from dtool.errors import UsageError
from dtool.models.description import UNDESCRIBED, Description, describe_source
from dtool.models.spec import NetworkSpec


def test_all_that_a_spec_holds_can_be_said():
    assert {field.name for field in fields(Description)} == set(NetworkSpec.model_fields)


@pytest.mark.parametrize("nothing", [None, {}, {"shape": None}])
def test_nothing_is_said_where_every_field_is_none(nothing):
    assert describe_source(nothing) == UNDESCRIBED
    assert UNDESCRIBED.is_empty


def test_fields_are_kept_as_they_are_and_a_spec_is_whole():
    described = describe_source({"schedule": "cosine", "learned_variance": False, "classes": 0})
    assert described == Description(schedule="cosine", learned_variance=False, classes=0)
    assert described.to_fields() == {"schedule": "cosine", "classes": 0, "learned_variance": False}
    assert not described.is_empty
    spec = NetworkSpec(shape=(2,), schedule="linear")
    assert describe_source(spec) is spec


def test_a_field_that_is_none_is_refused():
    with pytest.raises(UsageError, match="no 'shcedule'") as caught:
        describe_source({"shcedule": "cosine"})
    assert "did you mean schedule" in caught.value.hint
