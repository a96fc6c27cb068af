"""What cannot be printed is told, and the exit code says so."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import warnings

import pytest

import dtool
from dtool.errors import GateError
from dtool.version import __version__
from tests.support.commandline import failed, plain_environment, ran, typed


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/dev/full is Linux's")
@pytest.mark.parametrize(
    ("command", "redirection", "code", "said"),
    [
        ("plan ddim --steps 2 --json", "> /dev/full", 1, "No space left on device"),
        ("plan ddim --steps 2", ">&-", 1, "stdout is closed"),
        ("--help", "> /dev/full", 1, "No space left on device"),
        ("--version", "> /dev/full", 1, "No space left on device"),
        ("plan ddim --steps 2 --json", "2>&- | wc -c", 0, ""),
        ("nonsense", "2> /dev/full", 2, ""),
        ("plan ddim --steps 2", "> /dev/full 2>&-", 1, ""),
        ("plan ddim --steps 2", "<&-", 0, "2 steps"),
    ],
)
def test_what_cannot_be_printed_is_told(command, redirection, code, said):
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m dtool {command} {redirection}"],
        capture_output=True, text=True, env=plain_environment(), timeout=120,
    )  # fmt: skip
    assert done.returncode == code, done
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_python_m_dtool():
    assert typed("--version").out == f"dtool {__version__}\n"


def _broken(monkeypatch, error):
    """Make `dtool env` raise `error`."""

    def raises():
        raise error

    monkeypatch.setattr("dtool.cli.commands.env.collect_environment", raises)


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

    monkeypatch.setattr("dtool.cli.commands.env.collect_environment", warns)
    assert ran(capsys, "env", "--json").err == "warning: look here\n"
    assert ran(capsys, "env", "--json", "-q").err == ""


def test_a_warning_of_two_places_is_shown_once(capsys, monkeypatch):
    def warns():
        warnings.warn("look here", UserWarning, stacklevel=1)
        warnings.warn("look here", UserWarning, stacklevel=1)
        return {}

    monkeypatch.setattr("dtool.cli.commands.env.collect_environment", warns)
    assert ran(capsys, "env", "--json").err == "warning: look here\n"


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


def test_no_plugins_works_before_and_after_the_command(capsys, monkeypatch):
    monkeypatch.setenv("DTOOL_NO_PLUGINS", "")  # so that what the command sets is undone
    for args in (("--no-plugins", "plugins", "--json"), ("plugins", "--json", "--no-plugins")):
        found = json.loads(ran(capsys, *args).out)
        assert found[0]["name"] == "dtool"
        assert all(plugin["status"] == "disabled" for plugin in found[1:])
    from dtool.plugins.registry import get_registry

    get_registry.cache_clear()
