"""Running the command line as a user types it, in this process or in one of its own; a network in closed form."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import dtool
from dtool.cli import main
from dtool.compare import statistics

SHAPE = (1, 12, 10)


@dataclass(frozen=True)
class Result:
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str


def ran(capsys: Any, *args: object) -> Result:
    """`dtool args…` in this process."""
    capsys.readouterr()
    code = main([str(arg) for arg in args])
    captured = capsys.readouterr()
    return Result(code, captured.out, captured.err)


def replace_options(words: Sequence[object], others: Sequence[object]) -> list[object]:
    """`words`, in which options take one value each, without the options that `others` give, and then those."""
    given = {word for word in others if str(word).startswith("-")}
    places = [i for i, word in enumerate(words) if word in given]
    return [*(word for i, word in enumerate(words) if i not in places and i - 1 not in places), *others]


def typed(*args: object, cwd: Any = None, **environment: str) -> Result:
    """`python -m dtool args…` in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "dtool", *map(str, args)],
        cwd=cwd, env=plain_environment() | environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return Result(done.returncode, done.stdout, done.stderr)


@contextmanager
def started(code: str, cwd: Any) -> Iterator[subprocess.Popen[bytes]]:
    """`python -c code`, with its stderr read by us; it hears Ctrl-C even if we don't, and does not outlive the test."""

    def hears() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a job in the background may have been started with it ignored

    command = [sys.executable, "-c", textwrap.dedent(code)]
    with subprocess.Popen(
        command, cwd=cwd, env=plain_environment(), stderr=subprocess.PIPE, preexec_fn=hears
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def plain_environment() -> dict[str, str]:
    """This environment without what makes output colourful, or silent about plugins."""
    drop = ("FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "DTOOL_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(drop)}
    return kept | {"TERM": "dumb", "COLUMNS": "80", "OMP_NUM_THREADS": "1"}


def failed(result: Result, code: int, cause: str, hint: str = "") -> None:
    """The command failed as it should: its code, one line of cause, one of remedy, no traceback, nothing on stdout."""
    lines = [line for line in result.err.splitlines() if not line.startswith("warning: ")]
    assert result.code == code, result
    assert result.out == "", result
    assert [line.partition(" ")[0] for line in lines] in (["error:", "hint:"], ["error:"]), result.err
    assert cause in lines[0]
    assert hint in lines[-1]


def use_network(monkeypatch: Any, folder: Any, net: Any) -> Any:
    """Make `net` the package's network, and `folder` the working folder; returns `net`."""
    monkeypatch.setattr(dtool, "default_network", lambda device="auto", **_: net)
    monkeypatch.chdir(folder)
    return net


def prototypes(classes: int) -> np.ndarray:
    """One bright square a class, (classes, 1, 12, 10) in -1 … 1."""
    images = np.full((classes, *SHAPE), -1.0)
    for k in range(classes):
        images[k, 0, k % 9 : k % 9 + 4, k % 7 : k % 7 + 4] = 1.0
    return images


def network(classes: int = 3, **more: Any) -> Any:
    """The exact network of a data set: one image a class with a little Gaussian noise on it, schedule linear."""
    images, schedule, width = prototypes(max(classes, 1)), dtool.get_scheduler("linear"), 0.1

    def eps(x: Any, t: Any, label: Any = None) -> Any:
        alpha, sigma = (level.reshape(-1, 1, 1, 1) for level in schedule.level(t))
        mean = images[np.minimum(label, classes - 1) if label is not None else np.zeros(len(x), int)]
        variance = (alpha * width) ** 2 + sigma**2
        return sigma * (x - alpha * mean) / variance

    made = dtool.network(eps, shape=SHAPE, schedule="linear", classes=classes, **more)
    draws = np.concatenate([images] * 40)
    draws = draws + width * np.random.default_rng(0).standard_normal(draws.shape)
    spec = made.spec.model_copy(update={"statistics": statistics(draws, (4, 3))})
    return type(made)(eps, spec)


def names() -> list[str]:
    """What is in the working folder."""
    return sorted(path.name for path in Path().iterdir())


def no_picture(monkeypatch: Any, error: BaseException) -> None:
    """Make every picture that is saved fail with this error."""
    from PIL import Image

    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(Image.Image, "save", fail)
