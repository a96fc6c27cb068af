"""A training as it goes on: a bar on a terminal, otherwise a plain line now and then; both on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from dtool.training.codec_session import CodecSession
    from dtool.training.progress import Progress
    from dtool.training.session import Session

    Show = Callable[[Progress], None]

LINE_EVERY = 30.0  # seconds between plain lines where there is no terminal


def run_shown(session: Session | CodecSession, *, quiet: bool, again: str) -> None:
    """Train, and show how far it is; exits with 130 if it was interrupted. again: how it goes on, in words."""
    from dtool.training.device import is_first_process

    trainer = session.trainer
    with show_nothing() if quiet else show_training(trainer.config.steps, trainer.step) as show:
        for progress in session.run():
            show(progress)
    if session.interrupted:
        if is_first_process():
            say_aside(f"interrupted after {trainer.step} steps; {session.output} is kept: {again}")
        raise typer.Exit(130)


@contextmanager
def show_nothing() -> Iterator[Show]:
    """Nothing of a training."""
    yield lambda _progress: None


@contextmanager
def show_training(steps: int, done: int) -> Iterator[Show]:
    """A bar on a terminal, otherwise a plain line now and then; both on stderr."""
    if not sys.stderr.isatty():
        yield _print_lines(steps)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    figures = TextColumn("loss {task.fields[loss]:.4f}, {task.fields[rate]:.0f} images/s,")
    console = Console(stderr=True)
    with Progress(BarColumn(), MofNCompleteColumn(), figures, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task("", total=steps, completed=done, loss=float("nan"), rate=0.0)
        yield lambda now: bar.update(task, completed=now.step, loss=now.loss, rate=now.rate)


def _print_lines(steps: int) -> Show:
    last = time.monotonic() - LINE_EVERY

    def show(now: Progress) -> None:
        nonlocal last
        if time.monotonic() - last < LINE_EVERY and now.step < steps:
            return
        last = time.monotonic()
        left = (steps - now.step) * now.seconds_per_step
        with suppress(OSError):  # nobody reads it any more: that is no reason to stop
            say_aside(
                f"step {now.step}/{steps}  loss {now.loss:.4f}  {now.rate:.0f} images/s  {_format_time(left)} left"
            )

    return show


def _format_time(seconds: float) -> str:
    minutes = seconds / 60
    return f"{minutes:.1f} min" if minutes < 100 else f"{minutes / 60:.1f} h"


def say_aside(text: str) -> None:
    """Say something to a person, on stderr."""
    typer.echo(text, err=True)
