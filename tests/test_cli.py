"""The command line itself: help, exit codes, errors of two lines, interruption, pipes."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import re
import signal
import subprocess
import sys
import warnings

import pytest
from commandline import failed, plain_environment, ran, started, typed

import dtool
from dtool.cli.app import COMMANDS
from dtool.errors import GateError
from dtool.version import __version__

HEAVY = ("numpy", "torch", "onnxruntime", "onnx", "PIL", "rich", "pydantic", "pluggy")


def _modules_of(*args):
    """The modules that `dtool args…` leaves imported."""
    script = f"import sys; from dtool.cli import main; main({list(args)!r}); print('\\n' + ' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=plain_environment(), timeout=120
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("args", [("--help",), ("--version",), ()])
def test_asking_for_help_imports_nothing_heavy(args):
    assert not _modules_of(*args) & set(HEAVY)


def test_listing_samplers_imports_no_backend():
    assert not _modules_of("samplers") & {"torch", "onnxruntime", "onnx", "PIL"}


def test_env_reads_the_version_of_torch_without_importing_it():
    assert "torch" not in _modules_of("env", "--json")


def test_help_lists_every_command_with_its_line_in_full(capsys):
    result = ran(capsys, "--help")
    assert result.code == 0
    assert result.err == ""
    for name, lazy in COMMANDS.items():
        assert f"  {name} " in result.out
        assert lazy.help in result.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_imports_and_says_what_the_list_says(name, capsys):
    module, _, attribute = COMMANDS[name].target.partition(":")
    function = getattr(importlib.import_module(module), attribute)
    assert inspect.getdoc(function).splitlines()[0] == COMMANDS[name].help
    result = ran(capsys, name, "--help")
    assert result.code == 0
    assert f"Usage: dtool {name}" in result.out


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_in_help_are_commands_that_exist(name):
    module = importlib.import_module(COMMANDS[name].target.partition(":")[0])
    for example in getattr(module, "EXAMPLES", ()):
        assert f"dtool {name}" in example


def test_version(capsys, monkeypatch):
    monkeypatch.setenv("DTOOL_NO_PLUGINS", "")  # so that what --no-plugins sets is undone
    assert ran(capsys, "--version").out == f"dtool {__version__}\n"
    assert ran(capsys, "--no-plugins", "--version").out == f"dtool {__version__}\n"


def test_python_m_dtool():
    assert typed("--version").out == f"dtool {__version__}\n"


@pytest.mark.parametrize(
    ("args", "cause", "hint"),
    [
        (["smaple"], "there is no command 'smaple'", "did you mean sample"),
        (["plan", "ddpm", "--stps", "3"], "dtool plan has no option --stps", "did you mean --steps"),
        (["plan"], "missing argument", "dtool plan --help"),
        (["plan", "ddpm", "ddim"], "unexpected extra argument", "dtool plan --help"),
        (["--hlep"], "no option --hlep", "--help"),
        (["plan", "ddmp"], "there is no sampler 'ddmp'", "did you mean ddpm"),
        (["plan", "ddim@cosinus"], "there is no scheduler 'cosinus'", "did you mean cosine"),
        (["plan", "ddim/karas"], "there is no spacing 'karas'", "did you mean karras"),
        (["plan", "ddim:etta=1"], "ddim has no option 'etta'", "did you mean eta"),
        (["plan", "ddim:eta=2"], "ddim: eta='2' is refused", "less than or equal to 1"),
        (["plan", "ddim", "--steps", "0"], "'--steps'", "dtool plan --help"),
        (["plan", "ddim", "--steps", "many"], "'--steps'", "dtool plan --help"),
        (["plan", "ddim", "--steps", "1001"], "1001 steps cannot be had from a schedule of 1000", "1 to 1000"),
        (["plan", "ddim", "--points", "9,x"], "--points 9,x: not a list of numbers", "999,750,500,250"),
        (["plan", "ddim/karras", "--spacing", "linspace"], "names its spacing already", "leave out"),
        (["samplers", "nope"], "there is no sampler 'nope'", ""),
        (["schedulers", "cosin"], "there is no scheduler 'cosin'", "did you mean cosine"),
        (["spacings", "karas"], "there is no spacing 'karas'", "did you mean karras"),
    ],
)
def test_wrong_usage_exits_with_2_and_says_what_to_type(capsys, args, cause, hint):
    failed(ran(capsys, *args), 2, cause, hint)


def _broken(monkeypatch, error):
    """Make `dtool env` raise `error`."""

    def raises():
        raise error

    monkeypatch.setattr("dtool.cli.env.environment", raises)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_does_not_fit_is_an_error(tmp_path, unbuffered):
    """A file that may not grow stands for a full disk: it takes the first part of a write."""
    resource = pytest.importorskip("resource")
    words = [sys.executable, "-m", "dtool", "plan", "ddim", "--steps", "900", "--json"]
    with (tmp_path / "plan.json").open("wb") as file:
        done = subprocess.run(
            words, stdout=file, stderr=subprocess.PIPE, text=True, check=False,
            env=plain_environment() | {"PYTHONUNBUFFERED": unbuffered},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
        )  # fmt: skip
    assert done.returncode == 1
    assert re.fullmatch(r"error: .*too large\nhint: free some space.*\n", done.stderr)


@pytest.mark.parametrize(
    ("error", "code", "cause", "hint"),
    [
        (dtool.DtoolError("the cause\nin two lines", "the remedy"), 1, "the cause in two lines", "the remedy"),
        (GateError("worse than the bar", "lower the bar"), 3, "worse than the bar", "lower the bar"),
        (OSError(28, "No space left on device", "x.png"), 1, "x.png: No space left on device", "free some space"),
        (PermissionError(13, "Permission denied", "y"), 1, "y: Permission denied", "may read and write"),
        (FileNotFoundError(2, "No such file or directory", "z"), 1, "z: No such file", "check the path"),
        (MemoryError(), 1, "not enough memory", "fewer images"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] . can't allocate memory: you tried"), 1, "not enough", "fewer"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), 1, "not enough memory", "--batch-size"),
        (RuntimeError("odd"), 1, "internal error (RuntimeError: odd)", "DTOOL_DEBUG=1"),
    ],
)
def test_every_error_is_a_line_of_cause_and_a_line_of_remedy(capsys, monkeypatch, error, code, cause, hint):
    monkeypatch.delenv("DTOOL_DEBUG", raising=False)
    _broken(monkeypatch, error)
    failed(ran(capsys, "env"), code, cause, hint)


def test_debug_shows_the_traceback_too(capsys, monkeypatch):
    _broken(monkeypatch, RuntimeError("odd"))
    monkeypatch.setenv("DTOOL_DEBUG", "1")
    result = ran(capsys, "env")
    assert result.code == 1
    assert "Traceback" in result.err
    assert "\nerror: internal error (RuntimeError: odd)" in result.err


def test_ctrl_c_exits_with_130(capsys, monkeypatch):
    _broken(monkeypatch, KeyboardInterrupt())
    result = ran(capsys, "env")
    assert (result.code, result.out, result.err) == (130, "", "error: interrupted\n")


def test_warnings_are_one_line_each_and_shown_once(capsys, monkeypatch):
    def warns():
        for _ in range(2):
            warnings.warn("look\nhere", UserWarning, stacklevel=1)
        warnings.warn("for programmers", DeprecationWarning, stacklevel=1)
        return {}

    monkeypatch.setattr("dtool.cli.env.environment", warns)
    assert ran(capsys, "env", "--json").err == "warning: look here\n"
    assert ran(capsys, "env", "--json", "-q").err == ""


@pytest.mark.parametrize("args", [["plan", "ddpm", "--steps", "1000", "-q"], ["plan", "ddpm", "--steps", "2", "-q"]])
def test_a_reader_that_goes_away_is_no_error(args):
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "dtool", *args],
            stdout=pipe, stderr=subprocess.PIPE, env=plain_environment(), timeout=120, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")


SLOW = """
    import sys, time, dtool
    def slow(x, t):
        print("began", file=sys.stderr, flush=True)
        time.sleep(0.05)
        return x
    net = dtool.network(slow, shape=(1, 4, 4))
    dtool.default_network = lambda device="auto": net
    from dtool.cli import main
    sys.exit(main(["sample", "--steps", "1000", "-o", "out.png", "--npz", "out.npz"]))
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGINT is sent to a process")
def test_ctrl_c_while_sampling_leaves_nothing_half_written(tmp_path):
    with started(SLOW, tmp_path) as process:
        assert process.stderr.readline() == b"began\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.replace(b"began\n", b"") == b"error: interrupted\n"
    assert list(tmp_path.iterdir()) == []


def test_no_plugins_works_before_and_after_the_command(capsys, monkeypatch):
    monkeypatch.setenv("DTOOL_NO_PLUGINS", "")  # so that what the command sets is undone
    for args in (("--no-plugins", "plugins", "--json"), ("plugins", "--json", "--no-plugins")):
        found = json.loads(ran(capsys, *args).out)
        assert found[0]["name"] == "dtool"
        assert all(plugin["status"] == "disabled" for plugin in found[1:])
    from dtool.plugins.registry import registry

    registry.cache_clear()
