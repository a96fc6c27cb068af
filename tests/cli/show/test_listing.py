"""What samplers, schedulers and spacings have in common."""

from __future__ import annotations

import json

import pytest

from tests.support.commandline import ran


@pytest.mark.parametrize("kind", ["samplers", "schedulers", "spacings"])
def test_lists_have_every_name_and_the_same_in_json(capsys, kind):
    table = ran(capsys, kind).out
    found = json.loads(ran(capsys, kind, "--json").out)
    from dtool.plugins.registry import get_registry

    assert sorted(item["name"] for item in found) == sorted(entry.name for entry in getattr(get_registry(), kind))
    for item in found:
        assert item["name"] in table
        assert item["summary"]
        assert item["provider"]["version"]
        assert all(option["help"] for option in item["options"].values())
