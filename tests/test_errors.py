"""Errors name what was typed, and suggest what is near to it and not the same."""

from dtool.errors import did_you_mean, find_closest
from dtool.plugins.registrar import NamedRecipe, Provider
from dtool.plugins.registry import get_registry
from tests.support.commandline import ran


def test_no_suggestion_is_what_was_typed(monkeypatch, capsys):
    known = get_registry()
    own = dict(known.recipes._named)
    monkeypatch.setattr(known.recipes, "_named", own)
    known.recipes.add(NamedRecipe("Loop", "Loop", Provider("p", "1")))
    result = ran(capsys, "plan", "Loop")
    assert result.code == 1
    assert "recipe 'Loop' of p 1 is 'Loop', which cannot be had" in result.err
    assert "there is no sampler 'Loop'" in result.err
    assert "did you mean 'Loop'" not in result.err
    assert did_you_mean("abc", ["abc", "abd"]) == "did you mean abd?"
    assert did_you_mean("CAT", ["Cat", "cat"]) == "did you mean Cat?"
    assert did_you_mean("x", [f"name{i}" for i in range(100)]).endswith(" and 80 more")
    assert find_closest("x" * 10**6, ["xxxx"]) == []
