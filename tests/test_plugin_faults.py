"""A plugin can hurt only itself: hostile and clumsy ones, made up on the spot, and what the others go on doing."""

import json
import os
import random
import sys
import textwrap
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from commandline import failed, ran, typed

import dtool
from dtool.errors import CompileError, DtoolError, PluginError, UsageError
from dtool.metrics import Reference, evaluate_all
from dtool.plain import line, printable, printable_json, told
from dtool.plan import Recipe
from dtool.plugins import guard
from dtool.plugins.guard import Origin, guarded
from dtool.plugins.loader import PluginWarning
from dtool.plugins.registry import registry
from dtool.samplers import sampler
from dtool.schedulers import schedule, spacing
from dtool.testing import check

HOOK = "from dtool import hookimpl\n"
RULE = '''
from dtool.samplers.rule import sampler
@sampler("{declared}", order=1)
def step(now, to):
    """A stranger's rule."""
    {body}
    return to.alpha * now.x0 + to.sigma * now.eps
'''
REGISTER = "\n@hookimpl\ndef register_{kind}s(register):\n    register({what})\n"
WHO = "bad-one 1.2"


def rule(what='"good", step', declared="good", body="pass"):
    """A plugin's source: one rule, and what is registered."""
    return HOOK + RULE.format(declared=declared, body=body) + REGISTER.format(kind="sampler", what=what)


def thing(kind, body, name="odd", signature=None, decorator=None):
    """A plugin's source: one schedule, spacing or metric with this body."""
    module = {"scheduler": "schedulers.schedule", "spacing": "schedulers.spacing", "metric": "metrics"}[kind]
    takes = {"scheduler": "*, T: int = 1000", "spacing": "schedule, n", "metric": "samples, reference"}[kind]
    title = ', "Odd"' if kind == "metric" else ""
    made = f'from dtool.{module} import {kind}\n@{kind}("{name}"{title})\ndef thing({signature or takes}):\n'
    made += f'    """Odd."""\n    {body}\n'
    return HOOK + made + REGISTER.format(kind=kind, what=f'"{name}", thing')


@pytest.fixture
def install(tmp_path, monkeypatch):
    """install(source, package): a distribution on sys.path with an entry point in the group dtool."""
    for switch in ("DTOOL_NO_PLUGINS", "DTOOL_DISABLE_PLUGINS", "DTOOL_STRICT_PLUGINS"):
        monkeypatch.delenv(switch, raising=False)
    made = []

    def one(source, package="bad-one", **more):
        module = package.replace("-", "_")
        root = tmp_path / package
        (root / module).mkdir(parents=True)
        for name, text in {"__init__": source, **more}.items():
            (root / module / f"{name}.py").write_text(textwrap.dedent(text), encoding="utf-8")
        info = root / f"{module}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[dtool]\n{package} = {module}\n")
        monkeypatch.syspath_prepend(str(root))
        made.append(module)
        registry.cache_clear()
        return root

    yield one
    registry.cache_clear()
    for name in [n for n in sys.modules if n.split(".")[0] in made]:
        del sys.modules[name]


@pytest.fixture
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)
        yield


def plugin(name="bad-one"):
    registry().load_installed()
    return next(p for p in registry().plugins if p.name == name)


# What is registered


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
        assert sampler("good").name == "good"
    assert plugin().status == "faulty"
    with pytest.raises(PluginError, match=why) as error:
        sampler("bad")
    assert "bad-one" in error.value.hint
    for alias in "abc":
        assert not registry().samplers.knows(alias)
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
        schedule("bad")


def test_the_registered_name_is_the_name_everywhere(install, capsys):
    install(rule('"registered", step, aliases=("nick",)', declared="declared"))
    for name in ("registered", "nick", "Registered", "bad-one/registered"):
        made = dtool.plan(f"{name}@cosine", steps=3)
        assert (made.recipe, made.sampler) == ("registered@cosine", "registered")
        assert str(Recipe.parse(made.recipe)) == made.recipe
    with pytest.raises(UsageError, match="there is no sampler 'declared'"):
        sampler("declared")
    done = ran(capsys, "compare", "gmm:d=2", "nick", "--steps", 2, "-n", 8, "--no-solver", "--json", "-o", "c.json")
    assert json.loads(done.out)["entries"][0]["recipe"] == "registered"
    Path("c.json").unlink()


@pytest.mark.parametrize(("kind", "name"), [("scheduler", "linear"), ("spacing", "karras"), ("sampler", "ddim")])
def test_a_name_that_is_taken_is_written_with_its_package(install, capsys, kind, name):
    times = "return [schedule.T - 1 - i for i in range(n)]"
    betas = "import numpy as np; from dtool.schedulers.schedule import from_betas; return from_betas(np.full(T, 0.02))"
    install(
        rule(f'"{name}", step') if kind == "sampler" else thing(kind, betas if kind == "scheduler" else times, name)
    )
    find = {"scheduler": schedule, "spacing": spacing, "sampler": sampler}[kind]
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
        assert sampler("walk").name == "Walk"
    assert sampler("stroll").name == "stroll"
    assert sorted(str(w.message).partition(": ")[2] for w in caught) == [
        "sampler 'stroll' is registered twice, and the first counts",
        "sampler 'walk' is registered twice, and the first counts",
    ]


def test_no_more_than_a_thousand_names(install):
    install(rule('"n0", step') + '    for i in range(1, 3000): register(f"n{i}", step)\n')
    with pytest.warns(PluginWarning, match="it may register 1000 names at most of one kind; 'n1000'"):
        assert sampler("n999").name == "n999"
    with pytest.raises(UsageError, match="there is no sampler 'n1000'"):
        sampler("n1000")


@pytest.mark.parametrize("name", ["a\n", "\x1b[31m", "a b", "", "-x", "\u017f", "\u212a", "x" * 101, 3, None])
def test_names_are_plain(install, name):
    install(rule(f"{name!r}, step"))
    with pytest.warns(PluginWarning, match="is no name for a sampler") as caught:
        registry().load_installed()
    assert str(caught[0].message).isprintable()
    assert plugin().status == "broken"


def test_recipes_that_lead_nowhere(install, capsys):
    install(
        HOOK + "@hookimpl\ndef register_samplers(register):\n"
        '    register.recipe("Loop", "loop")\n    register.recipe("Lost", "nosuch/karras")\n'
        '    register.recipe("Torn", "@@")\n    register.recipe("DPM++ 2m karras", "ddim")\n'
    )
    assert Recipe.parse("DPM++ 2M Karras").rule.name == "dpmpp-2m"
    with pytest.warns(PluginWarning, match=r"recipe 'DPM\+\+ 2m karras' is 'DPM\+\+ 2M Karras' of dtool already"):
        registry().load_installed()
    for name, token in (("Loop", "loop"), ("Lost", "nosuch/karras"), ("Torn", "@@")):
        failed(
            ran(capsys, "plan", name), 1, f"recipe {name!r} of bad-one 1.2 is {token!r}, which cannot be had", "bad-one"
        )


# Hooks

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
        assert sampler("good").name == "good"
    assert str(caught[0].message).isprintable()
    assert plugin().status == "broken"


def test_a_real_interrupt_goes_through():
    origin = Origin("sampler", "x", "bad-one", "1.2")
    with pytest.raises(KeyboardInterrupt), guarded(origin, "cannot be run"):
        os.kill(os.getpid(), 2)
    its_own = pytest.raises(PluginError, match=r"sampler x of bad-one 1.2 cannot be run \(KeyboardInterrupt\)")
    with its_own, guarded(origin, "cannot be run"):
        raise KeyboardInterrupt
    found = []

    def elsewhere():
        try:
            with guarded(origin, "cannot be run"):
                raise KeyboardInterrupt
        except PluginError as error:
            found.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert len(found) == 1


def test_what_a_process_has_once_stays_as_it_was(tmp_path, capsys):
    folder, errors, filters = Path.cwd(), np.geterr(), list(warnings.filters)
    drawn, numbers, out = random.getstate(), np.random.get_state()[1].copy(), sys.stdout  # noqa: NPY002
    with guarded(Origin("sampler", "x", "bad-one", "1.2")):
        print("to stderr")
        os.chdir(tmp_path)
        np.seterr(all="raise")
        warnings.simplefilter("error")
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        sys.stdout = None
    assert (Path.cwd(), np.geterr(), warnings.filters) == (folder, errors, filters)
    assert random.getstate() == drawn
    assert (np.random.get_state()[1] == numbers).all()  # noqa: NPY002
    assert sys.stdout is out
    assert capsys.readouterr() == ("", "to stderr\n")


# Printing and control characters


def test_json_is_json_whatever_a_plugin_prints(install):
    body = "print('PRINTED')"
    root = install(
        "import os\nprint('PRINTED')\nos.write(1, b'PRINTED')\nos.system('echo PRINTED')\n" + rule(body=body)
    )
    for words in (("samplers", "--json"), ("plan", "good", "--json"), ("plugins", "--json")):
        done = typed(*words, PYTHONPATH=f"{os.environ.get('PYTHONPATH', '')}{os.pathsep}{root}")
        assert done.code == 0, done.err
        assert json.loads(done.out)
        assert "PRINTED" in done.err


def test_what_a_terminal_would_obey_is_escaped(install, capsys):
    source = rule('"ctl", step', body="if now.alpha < 0: pass").replace(
        '@sampler("good", order=1)', '@sampler("good", order=1, cite="c\\x1b[31m\\nd", family="\\x1b]0;x\\x07")'
    )
    source = source.replace("(now, to):", '(now, to, *, a: Annotated[str, Field(description="\\x9b2J")] = "\\x1b[2J"):')
    source = source.replace("A stranger's rule.", "Red \\x1b[31m \\u202e\\n    more \\x07")
    install("from typing import Annotated\nfrom pydantic import Field\n" + source)
    for words in (("samplers",), ("samplers", "ctl"), ("samplers", "ctl", "--json"), ("samplers", "--json")):
        done = ran(capsys, *words)
        assert done.code == 0
        assert done.out.replace("\n", "").isprintable()
    assert json.loads(ran(capsys, "samplers", "ctl", "--json").out)["doc"].startswith("Red \x1b[31m \u202e")
    assert r"Red \x1b[31m \u202e" in ran(capsys, "samplers", "ctl").out
    done = ran(capsys, "sample", "--sampler", "ctl", "--help")
    assert done.code == 0
    assert not {"\x1b", "\x9b", "\x07"} & set(done.out)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("plain λ α² é 日本", "plain λ α² é 日本"),
        ("\x1b[31m\x07\x7f\x85\x9b", r"\x1b[31m\x07\x7f\x85\x9b"),
        ("\u202eabc\u2066\u2028\ufeff\u200b", r"\u202eabc\u2066\u2028\ufeff\u200b"),
        ("a\nb\tc", r"a\x0ab\x09c"),
        ("\udcff", r"\udcff"),
        ("\U000e0041", r"\U000e0041"),
        ("👩\u200d🚀 می\u200cخواهم", "👩\u200d🚀 می\u200cخواهم"),
    ],
)
def test_text_is_shown_not_obeyed(given, wanted):
    assert printable(given) == wanted
    assert json.loads(printable_json(json.dumps(given, ensure_ascii=False))) == given
    assert printable_json(json.dumps(given, ensure_ascii=False)).isprintable() or "\u200d" in given


def test_text_of_anything():
    class Odd:
        def __str__(self):
            raise RuntimeError

    assert told(Odd()) == line(Odd()) == "<Odd>"
    assert line("a\n b\x1b") == r"a b\x1b"
    assert printable("a\nb", keep="\n") == "a\nb"


# Rules, schedules, spacings, metrics that go wrong while they run

RULES = {
    "asks for ever": ("while True: mid = yield now.x, to", "more than 256 network calls in one interval"),
    "yields garbage": ("yield 42", "it yielded a int, not a guess of x and a point"),
    "yields three": ("yield now.x, to, 1", r"it yielded a tuple of \(Form, Point, int\)"),
    "returns nothing": ("return None", "returned a NoneType"),
    "raises": ("raise LookupError('a \\x1b[31m\\n b')", r"LookupError: a \\x1b\[31m b"),
    "exits": ("raise SystemExit(0)", "SystemExit: 0"),
    "interrupts": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "recurses": ("return step(now, to)", "RecursionError"),
}


@pytest.mark.parametrize("kind", RULES)
def test_a_rule_that_goes_wrong_says_whose_it_is(install, capsys, kind):
    body, why = RULES[kind]
    install(rule(body=body))
    with pytest.raises(CompileError, match=why) as error:
        dtool.plan("good", steps=3)
    assert "bad-one 1.2" in str(error.value)
    assert str(error.value).isprintable()
    failed(ran(capsys, "plan", "good"), 2, "bad-one 1.2")
    assert {r.status for r in check("good") if r.name in ("marginals", "compiled", "ends")} == {"fail"}
    assert ran(capsys, "samplers").code == 0


def test_a_loop_without_end_ends(install, monkeypatch, capsys):
    monkeypatch.setattr("dtool.plan.compiler.ARITHMETIC", 0.2)
    monkeypatch.setattr(guard, "_endless", set())
    install(rule(body="while True: pass"))
    failed(
        ran(capsys, "plan", "good"), 2, "sampler good of bad-one 1.2 cannot be run as good (it has not ended after 0.2"
    )
    with pytest.raises(CompileError, match="it did not end"):
        dtool.plan("good", steps=4)  # and is not waited for again


SCHEDULES = {
    "raise KeyError('no')": "cannot make odd .KeyError: 'no'",
    "raise SystemExit(0)": "cannot make odd .SystemExit: 0",
    "return None": "scheduler odd returned a NoneType, not a Schedule",
    "return [0.1] * T": "scheduler odd returned a list, not a Schedule",
    "from dtool.schedulers.schedule import np, Schedule; return Schedule(np.full(T, np.nan), np.ones(T))":
        "alpha is not a finite table",
}  # fmt: skip


@pytest.mark.parametrize("body", SCHEDULES)
def test_a_schedule_that_goes_wrong(install, capsys, tmp_path, body):
    install(thing("scheduler", body))
    with pytest.raises(DtoolError, match=SCHEDULES[body]) as error:
        schedule("odd")
    assert "bad-one 1.2" in str(error.value)
    assert ran(capsys, "schedulers").code == 0
    drawn = ran(capsys, "schedulers", "--plot", tmp_path / "s.png")
    assert (drawn.code, "scheduler odd of bad-one 1.2 is left out" in drawn.err) == (0, True)
    assert ran(capsys, "check", "odd").code in (1, 2)


SPACINGS = [
    "return 'abc'",
    "return None",
    "return [float('nan')] * n",
    "raise SystemExit(0)",
    "return (i for i in range(n))",
]


@pytest.mark.parametrize("body", SPACINGS)
def test_a_spacing_that_goes_wrong(install, capsys, body):
    install(thing("spacing", body))
    with pytest.raises(DtoolError, match=r"bad-one 1\.2"):
        dtool.plan("ddim/odd", steps=3)
    assert ran(capsys, "spacings").code == 0
    assert [r.status for r in check("odd")] == ["fail"]


METRICS = {
    "raise RuntimeError('boom')": "RuntimeError: boom",
    "raise SystemExit(0)": "SystemExit: 0",
    "return float('nan')": "gave nan, and no finite number",
    "return None": "TypeError",
    "return samples": "TypeError",
    "return 'a'": "ValueError",
}


@pytest.mark.parametrize("body", METRICS)
def test_a_metric_costs_its_own_column(install, body):
    install(thing("metric", body))
    x, y = np.random.default_rng(0).standard_normal((2, 40, 1, 2, 2))
    for names in (None, ["mmd", "odd"]):
        found = evaluate_all(x, Reference(y), names, resamples=10, permutations=10, splits=10)
        assert METRICS[body] in found.skipped["odd"]
        assert "metric odd of bad-one 1.2" in found.skipped["odd"]
        assert found["mmd"].value == evaluate_all(x, Reference(y), ["mmd"], resamples=10, permutations=10)["mmd"].value


def test_a_metric_cannot_write_to_what_others_read(install):
    install(thing("metric", "samples += 1; return 0.0"))
    x, y = np.random.default_rng(0).standard_normal((2, 40, 3))
    before = x.copy()
    with pytest.raises(PluginError, match="read-only"):
        registry().metrics.get("odd")(x, y)
    assert (x == before).all()


def test_options_whose_default_is_refused(install, quiet):
    install(rule('"bad", step').replace("(now, to):", "(now, to, *, eta: float = 'much'):"))
    with pytest.raises(PluginError, match=r"option eta: its default is refused .*bad-one 1.2"):
        sampler("bad")


def test_options_that_are_required(install, capsys):
    install(rule('"needs", step').replace("(now, to):", "(now, to, *, eta: float):"))
    failed(ran(capsys, "plan", "needs"), 2, "needs the option 'eta'", "write needs:eta=")
    assert dtool.plan("needs:eta=1", steps=3).recipe == "needs:eta=1.0"
    assert ran(capsys, "samplers").code == 0


def test_strict_plugins_are_strict_about_entries(install, monkeypatch):
    install(rule('"bad", len'))
    monkeypatch.setenv("DTOOL_STRICT_PLUGINS", "1")
    with pytest.raises(DtoolError, match=r"plugin bad-one 1\.2 is at fault: sampler bad"):
        registry().load_installed()


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
