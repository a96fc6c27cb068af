"""What is registered is examined: its kind, its name, its options."""

import json
from pathlib import Path

import pytest

import dtool
from dtool.errors import PluginError, UsageError
from dtool.plan import Recipe
from dtool.plugins.loader import PluginWarning
from dtool.plugins.registry import get_registry
from dtool.samplers import get_sampler
from dtool.schedulers import get_scheduler
from tests.support.commandline import failed, ran
from tests.support.plugin_packages import plugin, rule


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ('"bad", len', "sampler bad of bad-one 1.2 is a builtin_function_or_method that @sampler"),
        ('"bad", step.step', "sampler bad of bad-one 1.2 is a function that @sampler"),
        ('"bad", type(step)', "sampler bad of bad-one 1.2 is a type that @sampler"),
        ('"bad", None', "sampler bad of bad-one 1.2 is a NoneType that @sampler"),
        ('"bad", step, aliases="abc"', r"sampler bad of bad-one 1.2 has as aliases the text 'abc': write"),
        ('"bad", step, aliases=7', "sampler bad of bad-one 1.2 has aliases that are a int"),
        ('"bad", step, summary=3', "sampler bad of bad-one 1.2 has a summary that is a int"),
    ],
)  # fmt: skip
def test_what_is_no_sampler_is_said_with_package_and_entry(install, capsys, what, why):
    install(rule(what))
    install(rule(), "good-one")
    with pytest.warns(PluginWarning, match=f"plugin bad-one 1.2 is at fault: {why}"):
        assert get_sampler("good").name == "good"
    assert plugin().status == "faulty"
    with pytest.raises(PluginError, match=why) as error:
        get_sampler("bad")
    assert "bad-one" in error.value.hint
    for alias in "abc":
        assert not get_registry().samplers.knows(alias)
    listed = {item["name"]: item for item in json.loads(ran(capsys, "samplers", "--json").out)}
    assert "broken: sampler bad of bad-one 1.2" in listed["bad"]["summary"]
    assert listed["good"]["order"] == 1
    assert {"ddim", "heun"} <= set(listed)
    assert ran(capsys, "samplers").code == 0
    assert "at fault" in ran(capsys, "plugins").out


@pytest.mark.parametrize("target", ["bad_one.rules:plain", "bad_one.rules:missing", "bad_one.nowhere:x"])
def test_a_lazy_target_is_examined_when_it_is_used(install, capsys, quiet, target):
    install(rule(f'"bad", "{target}"'), rules="def plain(now, to): return now.x\n")
    assert plugin().status == "ok"
    for words in (("plan", "bad"), ("sample", "--sampler", "bad", "--etaa", 3), ("samplers", "bad")):
        failed(ran(capsys, *words), 1, "sampler bad of bad-one 1.2", "upgrade or uninstall bad-one")
    listed = json.loads(ran(capsys, "samplers", "--json").out)
    assert listed[-1]["summary"].startswith("broken: sampler bad of bad-one 1.2")
    failed(ran(capsys, "sample", "--sampler", "ddim", "--nonsense", 3), 2, "has no option --nonsense")
    done = json.loads(ran(capsys, "check", "bad", "--json").out)
    assert [(r["name"], r["status"]) for r in done["bad"]] == [("loads", "fail")]


def test_one_kind_is_no_other(install, quiet):
    install(rule('"bad", step').replace("register_samplers", "register_schedulers"))
    with pytest.raises(PluginError, match=r"scheduler bad of bad-one 1.2 is made by @sampler, not by @scheduler"):
        get_scheduler("bad")


def test_the_registered_name_is_the_name_everywhere(install, capsys):
    install(rule('"registered", step, aliases=("nick",)', declared="declared"))
    for name in ("registered", "nick", "Registered", "bad-one/registered"):
        made = dtool.plan(f"{name}@cosine", steps=3)
        assert (made.recipe, made.sampler) == ("registered@cosine", "registered")
        assert str(Recipe.parse(made.recipe)) == made.recipe
    with pytest.raises(UsageError, match="there is no sampler 'declared'"):
        get_sampler("declared")
    done = ran(capsys, "compare", "gmm:d=2", "nick", "--steps", 2, "-n", 8, "--no-solver", "--json", "-o", "c.json")
    assert json.loads(done.out)["entries"][0]["recipe"] == "registered"
    Path("c.json").unlink()


def test_no_more_than_a_thousand_names(install):
    install(rule('"n0", step') + '    for i in range(1, 3000): register(f"n{i}", step)\n')
    with pytest.warns(PluginWarning, match="it may register 1000 names at most of one kind; 'n1000'"):
        assert get_sampler("n999").name == "n999"
    with pytest.raises(UsageError, match="there is no sampler 'n1000'"):
        get_sampler("n1000")


@pytest.mark.parametrize("name", ["a\n", "\x1b[31m", "a b", "", "-x", "\u017f", "\u212a", "x" * 101, 3, None])
def test_names_are_plain(install, name):
    install(rule(f"{name!r}, step"))
    with pytest.warns(PluginWarning, match="is no name for a sampler") as caught:
        get_registry().load_installed()
    assert str(caught[0].message).isprintable()
    assert plugin().status == "broken"


def test_options_whose_default_is_refused(install, quiet):
    install(rule('"bad", step').replace("(now, to):", "(now, to, *, eta: float = 'much'):"))
    with pytest.raises(PluginError, match=r"option eta: its default is refused .*bad-one 1.2"):
        get_sampler("bad")


def test_options_that_are_required(install, capsys):
    install(rule('"needs", step').replace("(now, to):", "(now, to, *, eta: float):"))
    failed(ran(capsys, "plan", "needs"), 2, "needs the option 'eta'", "write needs:eta=")
    assert dtool.plan("needs:eta=1", steps=3).recipe == "needs:eta=1.0"
    assert ran(capsys, "samplers").code == 0
