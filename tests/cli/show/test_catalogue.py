"""The catalogue: families, citations, and what each sampler says of itself."""

import re

import pytest

from dtool.cli.show import catalogue
from dtool.errors import DtoolError
from dtool.plan import Recipe
from dtool.plugins.registry import get_registry
from dtool.samplers import get_sampler
from dtool.samplers.rule import sampler as rule_of

BUILT_IN = [entry.name for entry in get_registry().samplers if entry.provider.name == "dtool"]


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_sampler_says_what_it_is(name):
    rule = get_sampler(name)
    assert rule.family in catalogue.FAMILIES
    assert rule.cite
    summary, _, rest = rule.doc.partition("\n")
    assert summary.endswith(".")
    assert re.search(r"(?i)network calls?|calls? (a|in)", rest), "the docstring says what a step costs"
    for option, field in rule.model.model_fields.items():
        assert field.description, option
    for claim in rule.same:
        assert Recipe.parse(claim.recipe)


def test_families_are_in_their_order_and_unknown_ones_last(monkeypatch):
    groups = list(catalogue.group_by_family())
    order = [*catalogue.FAMILIES, catalogue.OTHER]
    assert [name for name, _ in groups] == sorted((name for name, _ in groups), key=order.index)
    assert sorted(item["name"] for _, items in groups for item in items) == sorted(
        e.name for e in get_registry().samplers
    )
    strange = rule_of("strange", order=1, family="novel")(lambda now, to: now.x)
    assert catalogue.find_family(strange) == catalogue.OTHER


def test_noise_is_what_the_plan_has():
    assert [catalogue.describe_noise(get_sampler(name)) for name in ("ddpm", "ddim", "euler")] == [
        "yes",
        "option",
        "no",
    ]


def test_a_sampler_that_cannot_be_loaded_is_listed_with_the_reason(monkeypatch):
    def broken(entry):
        raise DtoolError("gone")

    monkeypatch.setattr(catalogue, "describe_sampler", broken)
    [(family, items)] = catalogue.group_by_family()
    assert family == catalogue.OTHER
    assert {item["summary"] for item in items} == {"broken: gone"}


def test_an_alias_that_is_only_another_spelling_is_left_out():
    item = {"name": "dpmpp-2m", "aliases": ["dpmpp_2m", "DPMPP2M", "dpm++2m", "dpm++_2m"]}
    assert catalogue.filter_aliases(item) == ["dpm++2m"]


def test_the_same_method_is_said_once():
    items = [{"name": "a", "same": {"b:x=1@linear/karras": "y=2"}}, {"name": "b", "same": {"a": "", "c": ""}}]
    assert catalogue.find_same_methods(items) == [["a", "b:x=1@linear/karras", "y=2"], ["b", "c", ""]]
