"""Command lines made at random from the real parameters of every command: none ends in a traceback or an untrue hint.

DTOOL_GENERATED_CALLS says how many are tried (default: few, which are the same every time), DTOOL_GENERATED_SEED which.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import re
import shlex
import signal
import time
import typing
import warnings
from pathlib import Path
from typing import Any

import pytest

from dtool.cli import main
from dtool.cli.app import COMMANDS, load_command
from dtool.plugins.registry import get_registry

CALLS = int(os.environ.get("DTOOL_GENERATED_CALLS", "80"))
SEED = int(os.environ.get("DTOOL_GENERATED_SEED", "0"))
SECONDS = 60  # of a call: it may work, but not hang
CODES = {0, 1, 2, 3, 130}
ODD = (
    "", " ", "-1", "0", "1", "2", "3", "1.5", "1e9", "1e400", "nan", "inf", "-inf", "99999999999999999999",
    "9" * 5000, "x", "none", "all", "true", "é", "٣", "名前", "😀", "a b", "--", "-", "\x1b[31m", "\t", "a,b", "1,2",
    ",", "0-3", "5-2", "/", ".", "..", "/dev/null", "missing.pt", "missing.onnx", "no/such/dir/out.png", "bad.pt",
    "bad.onnx", "bad.png", "bad.npz", "empty.json", "os:getcwd", "math:nothing", "no_such:thing", "\udcff",
)  # fmt: skip
RECIPES = (
    "ddim", "ddpm", "heun", "euler", "DPM++ 2M Karras", "Loop", "ddim:eta=0.5", "ddim:eta=x", "ddim:eta",
    "ddim@cosine", "ddim@cosine/karras", "ddim/karras:rho=0.005", "/karras", "@cosine", "ddmp", "DDIM", "ddim@nope",
    "ddim/nope", "ddim//", "ddim:eta=nan", "ddim:eta=0.5:x", "ddim-inversion", "unipc:order=3", "unipc:order=99",
    'ddim@linear:T="5"', "heun karras",
)  # fmt: skip
WRONG = ("ddmp", "nope", "ddim:eta=x", "ddim@nope", "/karras", "Heun Karas", "cosine")  # to check; the others take long
MODELS = ("gmm:d=2", "gmm", "gaussian:d=1", "gmm:d=0", "gmm:k=99999", "gmm:x=1", "digits-gmm", "missing.pt", "bad.onnx")
GOOD = {
    "steps": ("1", "2", "3"), "n": ("1", "2"), "seed": ("0", "7"), "ids": ("0-1", "3"), "guidance": ("0", "1", "2"),
    "classes": ("3", "none", "3,1"), "threshold": ("0.9", "1"), "scheduler": ("linear", "cosine"), "calls": ("2",),
    "spacing": ("karras",), "points": ("999,500,20",), "sampler": RECIPES, "recipe": RECIPES, "recipes": WRONG,
    "device": ("cpu", "meta", "CUDA"), "backend": ("torch", "onnxruntime"), "levels": ("16", "none"), "ms": ("1",),
    "batch": ("1",), "rounds": ("1",), "repeats": ("1",), "variance": ("beta",), "data": ("digits", "missing"),
    "budget": ("1s",), "what": (*MODELS, *RECIPES), "model": MODELS, "name": ("cosine", "ddim", "karras", "mmd"),
    "batch_size": ("1", "2"), "image": ("bad.png", "digit"), "jobs": ("1",), "size": ("8",), "metrics": ("mmd", "fd"),
    "fail_if": ("rmse>1",), "provider": ("CPU", "cpu:x=1"), "time_limit": ("30",), "schedule": ("linear",),
    "prediction": ("eps",),
}  # fmt: skip
OUTPUTS = ("output", "plot", "npz", "preview")
LONG = {"check": {"--all"}, "recommend": {"--calls", "--ms"}}  # what takes minutes when it is right
NEEDED = {
    "sample": "-n 1 --steps 2", "likelihood": "-n 1 --steps 2", "export": "--no-check --steps 2",
    "forward": "--scheduler cosine --steps 2", "recommend": "--recipe ddim", "bench": "--rounds 1 --steps 1 --batch 1",
    "compare": "--no-solver --steps 1 --repeats 1 -n 2 --metrics fd",
}  # fmt: skip


def parameters(name: str, words: list[str]) -> list[Any]:
    """The parameters of a command, with the options of the sampler that `words` name."""
    try:
        return list(load_command(name, words).params)
    except Exception:  # the sampler is not known: that is another case
        return list(load_command(name, []).params)


def value(dice: random.Random, parameter: Any) -> str:
    """Something for a parameter: often good, often not."""
    name, kind = parameter.name, dice.random()
    if name in OUTPUTS:
        return dice.choice(
            ("out.png", "out.json", "out.md", "out.npz", "out.onnx", "out.html", "no/dir/x.png", "", "é.png")
        )
    if kind < 0.6 and name in GOOD:
        return dice.choice(GOOD[name])
    described = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    choices = [one for one in typing.get_args(described) if isinstance(one, str)]
    if kind < 0.7 and choices:
        return dice.choice(choices)
    return dice.choice(ODD)


def line(dice: random.Random) -> list[str]:
    """One command line."""
    name = dice.choice([*COMMANDS, *COMMANDS, "sampel", "Sample", "", "-x", "--help", "--version"])
    if name not in COMMANDS:
        return [name, *dice.sample(ODD, dice.randrange(2))]
    if name == "train":
        return [name, dice.choice(("missing", "bad.npz", "")), "-o", dice.choice(ODD), *flags(dice, name, 2)]
    words = [name]
    for parameter in parameters(name, []):
        if parameter.param_type_name == "argument" and dice.random() < 0.8:
            words += [value(dice, parameter) for _ in range(dice.randint(1, 2) if parameter.nargs == -1 else 1)]
    return [*words, *NEEDED.get(name, "").split(), *flags(dice, name, dice.randrange(5))]


def flags(dice: random.Random, name: str, count: int) -> list[str]:
    """Some options of a command, a few of them mistyped, without their value, or joined with =."""
    options = [p for p in parameters(name, []) if p.param_type_name == "option" and p.name != "help"]
    words: list[str] = []
    for parameter in dice.choices(options, k=count):
        spelt = dice.choice([*parameter.opts, *parameter.secondary_opts])
        if spelt in LONG.get(name, ()):
            continue
        kind = dice.random()
        if kind < 0.08:
            spelt = spelt[: dice.randrange(2, len(spelt) + 1)] + dice.choice(("x", "", "É"))
        if (parameter.is_flag and kind > 0.1) or kind < 0.15:
            words.append(spelt)
        elif kind < 0.3 and spelt.startswith("--"):
            words.append(f"{spelt}={value(dice, parameter)}")
        else:
            words += [spelt, value(dice, parameter)]
    return words


def run(words: list[str]) -> tuple[int, str, str]:
    """What a call leaves: exit code, stdout, stderr; a call that hangs is a failure."""

    def late(*_: object) -> None:
        raise TimeoutError

    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", "surrogateescape", write_through=True) for _ in range(2))
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
            code = main(words)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return code, *(stream.buffer.getvalue().decode("utf-8", "replace") for stream in (out, err))


def complaints(words: list[str], code: int, out: str, err: str) -> list[str]:
    """What is wrong with how a call ended."""
    lines = err.splitlines()
    errors = [text for text in lines if text.startswith("error: ")]
    hints = [text for text in lines if text.startswith("hint: ")]
    found = [] if code in CODES else [f"exit code {code}"]
    found += ["a traceback"] * ("Traceback" in out + err) + ["an internal error"] * ("internal error" in err)
    failed = code in (1, 2) and not (words[:1] == ["check"] and not errors)  # a check that fails is a result
    found += [f"{len(errors)} lines of error"] * (len(errors) != failed) if code != 3 else []
    found += [f"{len(hints)} hints"] * (len(hints) > 1)
    found += ["a line too long"] * any(len(text) > 1100 for text in errors + hints)
    found += [f"RuntimeWarning: {text}" for text in lines if "encountered in" in text]
    return found + untrue(errors, hints)


def untrue(errors: list[str], hints: list[str]) -> list[str]:
    """Suggestions that are the very word that is complained of."""
    given = set(re.findall(r"'([^']*)'|(--[\w-]+)", " ".join(errors)))
    said = {word for pair in given for word in pair if word}
    meant = [re.match(r"hint: did you mean (.*?)\?", hint) for hint in hints]
    names = [name.strip("'") for match in meant if match for name in match[1].split(" or ")]
    return [f"it suggests {name}, which was typed" for name in names if name in said]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with broken files of every kind, in which the calls are made."""
    for name in ("bad.pt", "bad.onnx", "bad.png", "bad.npz"):
        (tmp_path / name).write_bytes(b"no such thing")
    (tmp_path / "empty.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERM", "dumb")
    return tmp_path


def test_no_command_line_ends_in_anything_but_a_result_or_a_line(folder: Path) -> None:
    get_registry().load_installed()
    dice, wrong = random.Random(SEED), []
    for _ in range(CALLS):
        words = line(dice)
        began = time.monotonic()
        try:
            result = run(words)
        except BaseException as error:
            wrong.append(f"dtool {shlex.join(words)[:300]}\n    raised {type(error).__name__}: {error}")
            continue
        if os.environ.get("DTOOL_GENERATED_TIMES"):
            print(f"{time.monotonic() - began:6.2f}", result[0], shlex.join(words)[:150])
        found = complaints(words, *result)
        if found:
            wrong.append(f"dtool {shlex.join(words)[:300]}\n    {'; '.join(found)}: {result[2][:400]!r}")
    assert not wrong, "\n".join([f"{len(wrong)} of {CALLS}:", *wrong])
