"""Names of strangers beside dtool's own: found, told apart by their package, or refused."""

import json
import sys

import pytest

import dtool
from dtool.errors import DtoolError, UsageError
from dtool.plan import Recipe, plan
from dtool.plugins.loader import PluginWarning
from dtool.plugins.registry import get_registry
from dtool.samplers import get_sampler
from dtool.schedulers import get_scheduler
from dtool.spacings import get_spacing
from tests.support.commandline import failed, ran
from tests.support.plugin_packages import HOOK, good, plugin, rule, thing


def test_a_stranger_enters_by_name(install_package):
    install_package("dtool-walk", good("walk", "dtool_walk"))
    assert get_sampler("walk").order == 1
    assert get_sampler("dtool-walk/walk") is not None
    assert plan("walk@cosine/karras", steps=5).steps == 5
    found = plugin("dtool-walk")
    assert (found.status, found.version, found.error) == ("ok", "1.2", "")
    assert [e.name for e in found.entries["samplers"]] == ["walk"]
    assert found.seconds >= 0
    assert "walk" in [e.name for e in get_registry().samplers]


def test_a_recipe_may_name_the_package(install_package):
    install_package("dtool-walk", good("walk", "dtool_walk"))
    recipe = Recipe.parse("dtool-walk/walk@linear/karras")
    assert recipe.rule.name == "walk"
    assert recipe.spacing is not None
    assert recipe.spacing.name == "karras"
    assert Recipe.parse("dtool/ddim/leading").rule.name == "ddim"


def test_a_target_is_imported_when_it_is_used(install_package):
    install_package("dtool-lazy", good("lazy", "dtool_lazy"))
    assert "lazy" in [entry.name for entry in get_registry().samplers]
    assert "dtool_lazy" in sys.modules
    assert "dtool_lazy.rule" not in sys.modules
    get_sampler("lazy")
    assert "dtool_lazy.rule" in sys.modules


def test_two_plugins_with_one_name(install_package):
    install_package("dtool-walk", good("walk", "dtool_walk"))
    install_package("other-walk", good("walk", "other_walk"), version="3.0")
    assert get_sampler("ddim").name == "ddim", "no error before the name is used"
    with pytest.raises(UsageError, match=r"offered by dtool-walk 1\.2 and other-walk 3\.0") as error:
        get_sampler("walk")
    assert error.value.hint == "write dtool-walk/walk"
    assert {get_sampler("dtool-walk/walk").step.__module__, get_sampler("other-walk/walk").step.__module__} == {
        "dtool_walk.rule",
        "other_walk.rule",
    }


def test_a_target_that_cannot_be_imported_names_its_package(install_package):
    sources = good("walk", "dtool_walk")
    install_package("dtool-walk", {**sources, "rule": "import not_there_at_all"})
    with pytest.raises(DtoolError, match=r"walk of dtool-walk 1\.2 cannot be loaded \(ModuleNotFoundError") as error:
        get_sampler("walk")
    assert "dtool-walk" in error.value.hint


def test_schedules_and_spacings_enter_too(install_package):
    source = """
        import numpy as np
        from dtool import hookimpl
        from dtool.schedulers.schedule import from_betas
        from dtool.schedulers.scheduler import scheduler
        from dtool.spacings.spacing import spacing

        @scheduler("flat")
        def flat(*, T: int = 100, beta: float = 0.05):
            '''A constant β.'''
            return from_betas(np.full(T, beta))

        @spacing("halves")
        def halves(schedule, n):
            '''Half of what is left.'''
            return [(schedule.T - 1) / 2**i for i in range(n)]

        @hookimpl
        def register_schedulers(register):
            register("flat", flat, aliases=("constant",))

        @hookimpl
        def register_spacings(register):
            register("halves", halves)
    """
    install_package("dtool-flat", {"__init__": source})
    made = plan("ddim@constant:beta=0.1/halves", steps=3)
    assert made.recipe == "ddim@flat:beta=0.1/halves"
    assert made.t.tolist() == [99, 49.5, 24.75]
    assert get_scheduler("flat:T=10,zero_snr=true").alpha[-1] == 0, "transforms are there for everyone"
    assert get_spacing("dtool-flat/halves").name == "halves"


def test_every_name_and_alias_is_found():
    for kind, find in (
        ("samplers", get_sampler),
        ("spacings", lambda t: get_registry().spacings.get(t)),
        ("schedulers", lambda t: get_registry().schedulers.get(t)),
    ):
        for entry in getattr(get_registry(), kind):
            for alias in (entry.name, *entry.aliases):
                assert find(alias).name == entry.name


def test_where_a_rule_is_wanted_no_whole_recipe_is_suggested():
    with pytest.raises(UsageError) as caught:
        dtool.get_sampler("Heun Karas")
    assert "Karras" not in caught.value.hint
    with pytest.raises(UsageError) as caught:
        dtool.plan("Heun Karas")
    assert dtool.plan(caught.value.hint.split("'")[1], steps=3).rows
    with pytest.raises(UsageError, match="name of a whole recipe, dpmpp-2m/karras"):
        dtool.get_sampler("DPM++ 2M Karras")


@pytest.mark.parametrize(("kind", "name"), [("scheduler", "linear"), ("spacing", "karras"), ("sampler", "ddim")])
def test_a_name_that_is_taken_is_written_with_its_package(install, capsys, kind, name):
    times = "return [schedule.T - 1 - i for i in range(n)]"
    betas = "import numpy as np; from dtool.schedulers.schedule import from_betas; return from_betas(np.full(T, 0.02))"
    install(
        rule(f'"{name}", step') if kind == "sampler" else thing(kind, betas if kind == "scheduler" else times, name)
    )
    find = {"scheduler": get_scheduler, "spacing": get_spacing, "sampler": get_sampler}[kind]
    assert find(name).token == name
    assert find(f"bad-one/{name}").token == f"bad-one/{name}"
    assert find(find(f"bad-one/{name}").token).token == f"bad-one/{name}", "and is read back as the same"
    listed = [item["name"] for item in json.loads(ran(capsys, f"{kind}s", "--json").out)]
    assert listed.count(name) == 1
    assert listed[-1] == f"bad-one/{name}"
    whole = {"scheduler": "ddim@bad-one/linear", "spacing": "ddim@cosine/bad-one/karras", "sampler": "bad-one/ddim"}
    made = dtool.plan(whole[kind], steps=3)
    assert made.recipe == whole[kind]
    assert dtool.plan(made.recipe, steps=3).hash == made.hash


def test_the_first_of_two_names_counts(install):
    twice = rule('"Walk", step, aliases=("walk", "WALK", "stroll")').replace(
        "    register(", '    register("stroll", step)\n    register('
    )
    install(twice + '    register("walk", step)\n')
    with pytest.warns(PluginWarning) as caught:
        assert get_sampler("walk").name == "Walk"
    assert get_sampler("stroll").name == "stroll"
    assert sorted(str(w.message).partition(": ")[2] for w in caught) == [
        "sampler 'stroll' is registered twice, and the first counts",
        "sampler 'walk' is registered twice, and the first counts",
    ]


def test_recipes_that_lead_nowhere(install, capsys):
    install(
        HOOK + "@hookimpl\ndef register_samplers(register):\n"
        '    register.recipe("Loop", "loop")\n    register.recipe("Lost", "nosuch/karras")\n'
        '    register.recipe("Torn", "@@")\n    register.recipe("DPM++ 2m karras", "ddim")\n'
    )
    assert Recipe.parse("DPM++ 2M Karras").rule.name == "dpmpp-2m"
    with pytest.warns(PluginWarning, match=r"recipe 'DPM\+\+ 2m karras' is 'DPM\+\+ 2M Karras' of dtool already"):
        get_registry().load_installed()
    for name, token in (("Loop", "loop"), ("Lost", "nosuch/karras"), ("Torn", "@@")):
        failed(
            ran(capsys, "plan", name), 1, f"recipe {name!r} of bad-one 1.2 is {token!r}, which cannot be had", "bad-one"
        )


def test_by_need_built_ins_come_before_a_stranger_that_has_the_name_of_one(install_package):
    install_package("dtool-walk", good("ddim", "dtool_walk"))
    get_registry().load_installed()
    first = [entry.provider.name for entry in get_registry().samplers.iterate_by_need()]
    assert first == sorted(first, key=lambda name: name != "dtool")
    assert first.count("dtool-walk") == 1
    own = list(get_registry().samplers.iterate_by_need(installed=False))
    assert {entry.provider.name for entry in own} == {"dtool"}
    assert len(own) == len(first) - 1
