"""A comparison as one JSON document."""

from __future__ import annotations

import json

import numpy as np
import pytest

import dtool
from dtool.compare.document import make_document
from dtool.targets import target


@pytest.fixture(scope="module")
def exact():
    return target("gmm:d=2")


def test_the_document_is_json_and_tells_where_it_was_made(exact):
    comparison = dtool.compare(exact.network(), ["ddim@cosine", "ddpm"], steps=4, reference=exact, repeats=1, n=40)
    document = json.loads(json.dumps(make_document(comparison, command="dtool compare", model="gmm"), allow_nan=False))
    assert [s["name"] for s in document["schedules"]] == ["the network's own", "cosine"]
    assert all(0 <= b <= 1 for s in document["schedules"] for b in s["beta"])
    assert document["versions"]["numpy"] == np.__version__
    assert document["entries"][0]["figures"]["w2"]["value"] > 0
    assert len(document["entries"][0]["points"]["beta"]) == 4
