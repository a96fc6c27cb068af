"""Plugins are found and loaded: a broken one costs a line, and a disabled one nothing."""

import json
import os
import subprocess
import sys
import warnings

import pytest

from dtool.errors import DtoolError, UsageError
from dtool.plugins.loader import PluginWarning, disable_all
from dtool.plugins.registry import get_registry
from dtool.samplers import get_sampler
from tests.support.commandline import typed
from tests.support.plugin_packages import HOOK, good, plugin, rule

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
def test_a_broken_plugin_costs_a_line(install_package, kind):
    install_package("dtool-broken", {"__init__": BROKEN[kind]})
    install_package("dtool-walk", good("walk", "dtool_walk"))
    with pytest.warns(PluginWarning, match=r"plugin dtool-broken 1\.2 is skipped") as caught:
        assert get_sampler("walk").name == "walk", "the others still work"
    assert len([w for w in caught if w.category is PluginWarning]) == 1
    assert "\n" not in str(caught[0].message)
    assert plugin("dtool-broken").status == "broken"
    assert plugin("dtool-broken").error
    with pytest.raises(UsageError, match="there is no sampler 'stroll'") as error:
        get_sampler("stroll")
    assert "dtool-broken" in error.value.hint, "the name may be in the broken one"


def test_strict_plugins_raise(install_package, monkeypatch):
    install_package("dtool-broken", {"__init__": "raise RuntimeError('no licence')"})
    monkeypatch.setenv("DTOOL_STRICT_PLUGINS", "1")
    with pytest.raises(DtoolError, match=r"dtool-broken 1\.2 cannot be loaded \(RuntimeError: no licence\)") as error:
        list(get_registry().samplers)
    assert error.value.exit_code == 1
    assert error.value.hint


@pytest.mark.parametrize("switch", ["dtool-broken", "DTOOL_BROKEN", "other, dtool.broken"])
def test_a_disabled_plugin_is_not_imported(install_package, monkeypatch, switch):
    install_package("dtool-broken", {"__init__": "raise RuntimeError('imported')"})
    install_package("dtool-walk", good("walk", "dtool_walk"))
    monkeypatch.setenv("DTOOL_DISABLE_PLUGINS", switch)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert get_sampler("walk").name == "walk"
    assert plugin("dtool-broken").status == "disabled"
    assert "dtool_broken" not in sys.modules


def test_a_plugin_is_disabled_by_the_name_of_its_entry_point_too(install_package, monkeypatch):
    root = install_package("dtool-broken", {"__init__": "raise RuntimeError('imported')"})
    next(root.glob("*.dist-info/entry_points.txt")).write_text("[dtool]\nby-point = dtool_broken\n", encoding="utf-8")
    monkeypatch.setenv("DTOOL_DISABLE_PLUGINS", "By_Point")
    assert plugin("dtool-broken").status == "disabled"
    assert "dtool_broken" not in sys.modules


def test_no_plugins_at_all(install_package, monkeypatch):
    install_package("dtool-walk", good("walk", "dtool_walk"))
    assert get_sampler("walk").name == "walk"
    monkeypatch.setenv("DTOOL_NO_PLUGINS", "")  # so that the change is undone afterwards
    disable_all()
    with pytest.raises(UsageError, match="there is no sampler 'walk'"):
        get_sampler("walk")
    assert get_sampler("ddim").name == "ddim"
    assert plugin("dtool-walk").status == "disabled"


def test_importing_dtool_with_a_broken_plugin_says_nothing(install_package, tmp_path):
    install_package("dtool-broken", {"__init__": "raise RuntimeError('imported')"})
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'dtool-broken')!r}); import dtool; dtool.plan('ddim', steps=3)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


HOOKS = {
    "not marked": ("def register_samplers(register): pass", "not marked with @dtool.hookimpl"),
    "a generator": (HOOK + "@hookimpl\ndef register_samplers(register):\n    yield", "a generator or a coroutine"),
    "a coroutine": (HOOK + "@hookimpl\nasync def register_samplers(register): pass", "a generator or a coroutine"),
    "none": ("x = 1", "it registers nothing"),
    "misspelt": (HOOK + "@hookimpl\ndef register_sampler(register): pass", "register_sampler"),
    "a wrong parameter": (HOOK + "@hookimpl\ndef register_samplers(registrar): pass", "registrar"),
    "BaseException": ("class Odd(BaseException): pass\nraise Odd('boo')", r"\(Odd: boo\)"),
    "KeyboardInterrupt": ("raise KeyboardInterrupt", r"\(KeyboardInterrupt\)"),
    "GeneratorExit": ("raise GeneratorExit", r"\(GeneratorExit\)"),
    "SystemExit in the hook": (
        HOOK + "@hookimpl\ndef register_samplers(register): raise SystemExit(0)",
        r"\(SystemExit: 0\)",
    ),
    "many lines": ("raise ValueError('one\\ntwo \\x1b[31m \\u202e')", r"one two \\x1b\[31m \\u202e"),
    "no text": ("class Odd(Exception):\n    def __str__(self): raise ValueError\nraise Odd", r"\(Odd: <Odd>\)"),
}


@pytest.mark.parametrize("kind", HOOKS)
def test_a_hook_that_cannot_be_called_costs_a_line(install, kind):
    source, why = HOOKS[kind]
    install(source)
    install(rule(), "good-one")
    with pytest.warns(PluginWarning, match=f"plugin bad-one 1.2 is skipped .*{why}") as caught:
        assert get_sampler("good").name == "good"
    assert str(caught[0].message).isprintable()
    assert plugin().status == "broken"


def test_strict_plugins_are_strict_about_entries(install, monkeypatch):
    install(rule('"bad", len'))
    monkeypatch.setenv("DTOOL_STRICT_PLUGINS", "1")
    with pytest.raises(DtoolError, match=r"plugin bad-one 1\.2 is at fault: sampler bad"):
        get_registry().load_installed()


def test_a_torn_list_of_entry_points_costs_a_line(tmp_path):
    """pydantic reads the entry points of all packages, too, and would raise what it finds."""
    info = tmp_path / "torn-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: torn\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[dtool]\nfoo\n")
    where = f"{os.environ.get('PYTHONPATH', '')}{os.pathsep}{tmp_path}"
    assert json.loads(typed("plan", "ddim", "--steps", 2, "--json", PYTHONPATH=where).out)["sampler"] == "ddim"
    done = typed("samplers", "--json", PYTHONPATH=where)
    assert done.code == 0
    assert "the entry points of" in done.err


def test_another_package_that_calls_itself_dtool_is_not_trusted(install_package):
    """Its entries would pass for built-ins."""
    root = install_package("dtool-impostor", {"__init__": rule('"ours", step')})
    metadata = next(root.glob("*.dist-info")) / "METADATA"
    metadata.write_text(metadata.read_text(encoding="utf-8").replace("dtool-impostor", "dtool"), encoding="utf-8")
    with (
        pytest.warns(PluginWarning, match="another package that calls itself dtool"),
        pytest.raises(UsageError, match="there is no sampler 'ours'"),
    ):
        get_sampler("ours")
    assert [one.status for one in get_registry().plugins if one.name == "dtool"] == ["ok", "broken"]
