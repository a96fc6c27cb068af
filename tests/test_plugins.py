"""The door for plugins, with packages that are made up on the spot: what a stranger may do, and cannot break."""

import subprocess
import sys
import textwrap
import warnings

import pytest

from dtool.errors import DtoolError, UsageError
from dtool.options import options_of
from dtool.plan import Recipe, plan
from dtool.plugins import builtin, hookspecs
from dtool.plugins.loader import KINDS, PluginWarning, disable_all
from dtool.plugins.registrar import Provider, Registrar
from dtool.plugins.registry import registry
from dtool.samplers import sampler
from dtool.schedulers import schedule, spacing

RULE = """
    from dtool.samplers.rule import sampler

    @sampler("{name}", order=1)
    def step(now, to):
        '''A stranger's rule.'''
        return to.alpha * now.x0 + to.sigma * now.eps
"""

HOOK = """
    from dtool import hookimpl

    @hookimpl
    def register_samplers(register):
        register("{name}", "{module}.rule:step")
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """install(package, {module: source}): a distribution on sys.path with the entry point `package` in group dtool."""
    for switch in ("DTOOL_NO_PLUGINS", "DTOOL_DISABLE_PLUGINS", "DTOOL_STRICT_PLUGINS"):
        monkeypatch.delenv(switch, raising=False)
    made = []

    def one(package, sources, version="1.2"):
        module = package.replace("-", "_")
        root = tmp_path / package
        (root / module).mkdir(parents=True)
        for name, source in sources.items():
            (root / module / f"{name}.py").write_text(textwrap.dedent(source), encoding="utf-8")
        info = root / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[dtool]\n{package} = {module}\n")
        monkeypatch.syspath_prepend(str(root))
        made.append(module)
        registry.cache_clear()

    yield one
    registry.cache_clear()
    for name in [n for n in sys.modules if n.split(".")[0] in made]:
        del sys.modules[name]


def good(name, module):
    return {"__init__": HOOK.format(name=name, module=module), "rule": RULE.format(name=name)}


def plugin(name):
    return next(p for p in registry().plugins if p.name == name)


def test_a_stranger_enters_by_name(install):
    install("dtool-walk", good("walk", "dtool_walk"))
    assert sampler("walk").order == 1
    assert sampler("dtool-walk/walk") is not None
    assert plan("walk@cosine/karras", steps=5).steps == 5
    found = plugin("dtool-walk")
    assert (found.status, found.version, found.error) == ("ok", "1.2", "")
    assert [e.name for e in found.entries["samplers"]] == ["walk"]
    assert found.seconds >= 0
    assert "walk" in [e.name for e in registry().samplers]


def test_a_recipe_may_name_the_package(install):
    install("dtool-walk", good("walk", "dtool_walk"))
    recipe = Recipe.parse("dtool-walk/walk@linear/karras")
    assert recipe.rule.name == "walk"
    assert recipe.spacing is not None
    assert recipe.spacing.name == "karras"
    assert Recipe.parse("dtool/ddim/leading").rule.name == "ddim"


def test_a_target_is_imported_when_it_is_used(install):
    install("dtool-lazy", good("lazy", "dtool_lazy"))
    assert "lazy" in [entry.name for entry in registry().samplers]
    assert "dtool_lazy" in sys.modules
    assert "dtool_lazy.rule" not in sys.modules
    sampler("lazy")
    assert "dtool_lazy.rule" in sys.modules


def test_built_in_names_import_no_plugin(install):
    install("dtool-lazy", good("lazy", "dtool_lazy"))
    plan("ddim@linear/karras", steps=5)
    assert "dtool_lazy" not in sys.modules


BROKEN = {
    "an exception": "raise RuntimeError('no licence')",
    "a syntax error": "def broken(:",
    "a missing module": "import not_there_at_all",
    "an exit": "raise SystemExit(7)",
    "a bad hook": "from dtool import hookimpl\n@hookimpl\ndef register_sampler(register): pass",
    "a hook that fails": "from dtool import hookimpl\n@hookimpl\ndef register_samplers(register): register.nonsense()",
    "a bad name": "from dtool import hookimpl\n@hookimpl\ndef register_samplers(register): register('a b', 'x:y')",
    "a bad target": "from dtool import hookimpl\n@hookimpl\ndef register_samplers(register): register('ab', 'x')",
    "a bad argument": "from dtool import hookimpl\n@hookimpl\ndef register_samplers(registrar): pass",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_plugin_costs_a_line(install, kind):
    install("dtool-broken", {"__init__": BROKEN[kind]})
    install("dtool-walk", good("walk", "dtool_walk"))
    with pytest.warns(PluginWarning, match=r"plugin dtool-broken 1\.2 is skipped") as caught:
        assert sampler("walk").name == "walk", "the others still work"
    assert len([w for w in caught if w.category is PluginWarning]) == 1
    assert "\n" not in str(caught[0].message)
    assert plugin("dtool-broken").status == "broken"
    assert plugin("dtool-broken").error
    with pytest.raises(UsageError, match="there is no sampler 'stroll'") as error:
        sampler("stroll")
    assert "dtool-broken" in error.value.hint, "the name may be in the broken one"


def test_strict_plugins_raise(install, monkeypatch):
    install("dtool-broken", {"__init__": "raise RuntimeError('no licence')"})
    monkeypatch.setenv("DTOOL_STRICT_PLUGINS", "1")
    with pytest.raises(DtoolError, match=r"dtool-broken 1\.2 cannot be loaded \(RuntimeError: no licence\)") as error:
        list(registry().samplers)
    assert error.value.exit_code == 1
    assert error.value.hint


@pytest.mark.parametrize("switch", ["dtool-broken", "DTOOL_BROKEN", "other, dtool.broken"])
def test_a_disabled_plugin_is_not_imported(install, monkeypatch, switch):
    install("dtool-broken", {"__init__": "raise RuntimeError('imported')"})
    install("dtool-walk", good("walk", "dtool_walk"))
    monkeypatch.setenv("DTOOL_DISABLE_PLUGINS", switch)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sampler("walk").name == "walk"
    assert plugin("dtool-broken").status == "disabled"
    assert "dtool_broken" not in sys.modules


def test_no_plugins_at_all(install, monkeypatch):
    install("dtool-walk", good("walk", "dtool_walk"))
    assert sampler("walk").name == "walk"
    monkeypatch.setenv("DTOOL_NO_PLUGINS", "")  # so that the change is undone afterwards
    disable_all()
    with pytest.raises(UsageError, match="there is no sampler 'walk'"):
        sampler("walk")
    assert sampler("ddim").name == "ddim"
    assert plugin("dtool-walk").status == "disabled"


def test_two_plugins_with_one_name(install):
    install("dtool-walk", good("walk", "dtool_walk"))
    install("other-walk", good("walk", "other_walk"), version="3.0")
    assert sampler("ddim").name == "ddim", "no error before the name is used"
    with pytest.raises(UsageError, match=r"offered by dtool-walk 1\.2 and other-walk 3\.0") as error:
        sampler("walk")
    assert error.value.hint == "write dtool-walk/walk"
    assert {sampler("dtool-walk/walk").step.__module__, sampler("other-walk/walk").step.__module__} == {
        "dtool_walk.rule",
        "other_walk.rule",
    }


def test_a_built_in_name_stays_built_in(install):
    install("dtool-thief", good("ddim", "dtool_thief"))
    list(registry().samplers)
    assert sampler("ddim").step.__module__ == "dtool.samplers.ddim"
    assert sampler("dtool-thief/ddim").step.__module__ == "dtool_thief.rule"
    assert sampler("dtool/ddim").step.__module__ == "dtool.samplers.ddim"


def test_a_target_that_cannot_be_imported_names_its_package(install):
    sources = good("walk", "dtool_walk")
    install("dtool-walk", {**sources, "rule": "import not_there_at_all"})
    with pytest.raises(DtoolError, match=r"walk of dtool-walk 1\.2 cannot be loaded \(ModuleNotFoundError") as error:
        sampler("walk")
    assert "dtool-walk" in error.value.hint


def test_schedules_and_spacings_enter_too(install):
    source = """
        import numpy as np
        from dtool import hookimpl
        from dtool.schedulers.schedule import from_betas, scheduler
        from dtool.schedulers.spacing import spacing

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
    install("dtool-flat", {"__init__": source})
    made = plan("ddim@constant:beta=0.1/halves", steps=3)
    assert made.recipe == "ddim@flat:beta=0.1/halves"
    assert made.t.tolist() == [99, 49.5, 24.75]
    assert schedule("flat:T=10,zero_snr=true").alpha[-1] == 0, "transforms are there for everyone"
    assert spacing("dtool-flat/halves").name == "halves"


def test_built_ins_come_through_the_same_door():
    for kind in KINDS:
        registrar = Registrar(kind.removesuffix("s"), Provider("dtool", "0"))
        getattr(builtin, f"register_{kind}")(registrar)
        assert {e.name for e in registrar.entries} <= {e.name for e in getattr(registry(), kind)}
        assert (getattr(hookspecs, f"register_{kind}").__doc__ or "").count("e.g.") == 1
        for entry in registrar.entries:
            assert isinstance(entry.target, str), "imported when it is used"
            assert entry.load().name == entry.name
            assert entry.load().doc


def test_every_name_and_alias_is_found():
    for kind, find in (
        ("samplers", sampler),
        ("spacings", lambda t: registry().spacings.get(t)),
        ("schedulers", lambda t: registry().schedulers.get(t)),
    ):
        for entry in getattr(registry(), kind):
            for alias in (entry.name, *entry.aliases):
                assert find(alias).name == entry.name


def test_an_option_without_a_type_is_taken_as_it_is():
    def step(now, to, *, scale=1.0):
        return now, to, scale

    assert list(options_of(step).model_fields) == ["scale"]


def test_importing_dtool_with_a_broken_plugin_says_nothing(install, tmp_path):
    install("dtool-broken", {"__init__": "raise RuntimeError('imported')"})
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'dtool-broken')!r}); import dtool; dtool.plan('ddim', steps=3)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
