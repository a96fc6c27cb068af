"""`dtool plugins`."""

from __future__ import annotations

import json

from tests.support.commandline import ran


def test_plugins_lists_the_built_in_ones(capsys):
    found = json.loads(ran(capsys, "plugins", "--json").out)
    assert found[0]["name"] == "dtool"
    assert "ddpm" in found[0]["offers"]["samplers"]
    assert "ddpm" in ran(capsys, "plugins").out
