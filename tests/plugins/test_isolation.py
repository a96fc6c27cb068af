"""A plugin can hurt only itself: hostile and clumsy ones, made up on the spot, and what the others go on doing."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

import dtool
from dtool.certify import check
from dtool.errors import CompileError, DtoolError, PluginError
from dtool.metrics import Reference, evaluate_all
from dtool.plugins import isolation
from dtool.plugins.isolation import Origin, guard_code
from dtool.plugins.registry import get_registry
from dtool.schedulers import get_scheduler
from tests.support.commandline import failed, ran, typed
from tests.support.plugin_packages import rule, thing


@pytest.fixture
def interruptible():
    """Ctrl-C raises KeyboardInterrupt, whatever the shell that runs the tests in the background has set."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_real_interrupt_goes_through(interruptible):
    origin = Origin("sampler", "x", "bad-one", "1.2")
    with pytest.raises(KeyboardInterrupt), guard_code(origin, "cannot be run"):
        os.kill(os.getpid(), 2)
    its_own = pytest.raises(PluginError, match=r"sampler x of bad-one 1.2 cannot be run \(KeyboardInterrupt\)")
    with its_own, guard_code(origin, "cannot be run"):
        raise KeyboardInterrupt
    found = []

    def elsewhere():
        try:
            with guard_code(origin, "cannot be run"):
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
    with guard_code(Origin("sampler", "x", "bad-one", "1.2")):
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


GUARDED = """
import sys
import numpy
from dtool.plugins.isolation import Origin, guard_code
with guard_code(Origin("sampler", "x", "bad-one", "1.2")):
    {code}
print("numpy.random" in sys.modules, numpy.random.randint(1 << 30) == numpy.random.RandomState(0).randint(1 << 30))
"""


@pytest.mark.parametrize(
    ("code", "said"),
    [("pass", "False False"), ("import numpy.random", "True False"), ("numpy.random.seed(0)", "True False")],
)
def test_generators_that_were_not_imported_are_neither_imported_nor_seeded(code, said):
    done = subprocess.run([sys.executable, "-c", GUARDED.format(code=code)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == said


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


RULES = {
    "asks for ever": ("while True: mid = yield now.x, to", "more than 256 network calls in one interval"),
    "yields garbage": ("yield 42", "it yielded a int, not a guess of x and a point"),
    "yields three": ("yield now.x, to, 1", r"it yielded a tuple of \(LinearForm, Point, int\)"),
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
    monkeypatch.setattr("dtool.plan.compiler.ARITHMETIC_SECONDS", 0.2)
    monkeypatch.setattr(isolation, "_timed_out", set())
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
        get_scheduler("odd")
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
    "return float('nan')": "returned nan, which is no finite number",
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
        get_registry().metrics.get("odd")(x, y)
    assert (x == before).all()
