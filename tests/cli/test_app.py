"""The command line as a whole: commands are found, and asking for help costs nothing."""

from __future__ import annotations

import importlib
import inspect

import pytest

from dtool.cli.app import COMMANDS, get_module_name
from dtool.version import __version__
from tests.support.commandline import failed, ran
from tests.support.imported_modules import list_modules

HEAVY = ("numpy", "torch", "onnxruntime", "onnx", "PIL", "rich", "pydantic", "pluggy")


@pytest.mark.parametrize("args", [("--help",), ("--version",), ()])
def test_asking_for_help_imports_nothing_heavy(args):
    assert not list_modules(*args) & set(HEAVY)


def test_listing_samplers_imports_no_backend():
    assert not list_modules("samplers") & {"torch", "onnxruntime", "onnx", "PIL"}


def test_a_plan_imports_no_generator_of_numpy():
    assert "numpy.random" not in list_modules("plan", "ddim", "--steps", "3")


def test_help_lists_every_command_with_its_line_in_full(capsys):
    result = ran(capsys, "--help")
    assert result.code == 0
    assert result.err == ""
    for name, lazy in COMMANDS.items():
        assert f"  {name} " in result.out
        assert lazy.help in result.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_imports_and_says_what_the_list_says(name, capsys):
    module = get_module_name(name)
    function = getattr(importlib.import_module(f"dtool.cli.commands.{module}"), module)
    assert inspect.getdoc(function).splitlines()[0] == COMMANDS[name].help
    result = ran(capsys, name, "--help")
    assert result.code == 0
    assert f"Usage: dtool {name}" in result.out


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_in_help_are_commands_that_exist(name):
    module = importlib.import_module(f"dtool.cli.commands.{get_module_name(name)}")
    for example in getattr(module, "EXAMPLES", ()):
        assert f"dtool {name}" in example


def test_version(capsys, monkeypatch):
    monkeypatch.setenv("DTOOL_NO_PLUGINS", "")  # so that what --no-plugins sets is undone
    assert ran(capsys, "--version").out == f"dtool {__version__}\n"
    assert ran(capsys, "--no-plugins", "--version").out == f"dtool {__version__}\n"


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (("export", "--recipe", "ddim", "--guidance", "1", "--guidance", "3"), "--guidance"),
        (("sample", "--steps", "3", "--steps=5"), "--steps"),
        (("sample", "-n", "3", "-n", "5"), "-n"),
        (("plan", "ddim", "--scheduler", "linear", "--scheduler", "cosine"), "--scheduler"),
        (("recommend", "--calls", "5", "--calls", "8"), "--calls"),
    ],
)
def test_an_option_of_one_value_that_is_given_twice_is_refused(capsys, words, flag):
    """The first of the two would be lost in silence."""
    failed(ran(capsys, *words), 2, f"{flag} is given 2 times, and has one value", "give it once")


def test_flags_and_what_may_be_repeated_may_be_given_again(capsys):
    assert ran(capsys, "plan", "ddim", "--steps", "3", "-q", "-q").code == 0
    done = ran(capsys, "sample", "--guidance", "1", "--guidance", "3")
    failed(done, 2, "--guidance 1 and --guidance 3 are given", "dtool compare takes several")
