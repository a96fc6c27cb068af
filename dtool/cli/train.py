"""`dtool train`: images in, a checkpoint out."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dtool.errors import DtoolError, UsageError

if TYPE_CHECKING:
    from dtool.training.loop import Progress

    Show = Callable[[Progress], None]

LINE_EVERY = 30.0  # seconds between plain lines where there is no terminal

_run = partial(typer.Option, rich_help_panel="The run")
_unet = partial(typer.Option, rich_help_panel="The network")
_file = partial(typer.Option, rich_help_panel="Files")


def train(
    data: Annotated[str, typer.Argument(help="folder of images (sub-folder = class), MNIST's IDX, .npz, or `digits`")],
    output: Annotated[Path, _file("--output", "-o", help="checkpoint, .pt or .safetensors")] = Path("model.pt"),
    resume: Annotated[bool, _file("--resume", help="continue the run whose checkpoint --output is (.pt)")] = False,
    force: Annotated[bool, _file("--force", "-f", help="replace --output if it exists")] = False,
    save_every: Annotated[str, _file(help="steps or time between checkpoints: 1000, 90s, 5m")] = "5m",
    preview: Annotated[Path | None, _file(help="write a PNG of samples here while it trains")] = None,
    preview_every: Annotated[str, _file(help="steps or time between previews")] = "5m",
    guidance: Annotated[float, _file(min=0, help="default guidance scale stored with the network")] = 1.0,
    quiet: Annotated[bool, _file("--quiet", "-q", help="no progress")] = False,
    steps: Annotated[int, _run(min=1, help="training steps")] = 5000,
    batch_size: Annotated[int, _run(min=1, help="images a step")] = 64,
    size: Annotated[str | None, _run(help="crop and resize a folder's images: 32, or HEIGHTxWIDTH")] = None,
    scheduler: Annotated[str, _run("--scheduler", "--schedule", help="noise schedule, e.g. cosine:T=500")] = "linear",
    prediction: Annotated[Literal["eps", "x0", "v", "flow"], _run(help="what the network says")] = "eps",
    loss: Annotated[Literal["simple", "vlb"], _run(help="noise levels alike, or as the bound weighs them")] = "simple",
    label_dropout: Annotated[float, _run(min=0, help="share of labels hidden, below 1, for guidance")] = 0.1,
    lr: Annotated[float, _run(help="peak learning rate")] = 1e-3,
    warmup: Annotated[int, _run(min=0, help="steps over which it rises, a tenth of all at most")] = 200,
    decay: Annotated[Literal["cosine", "constant"], _run(help="how it goes on then")] = "cosine",
    ema: Annotated[float, _run(help="decay of the weights' moving average")] = 0.999,
    seed: Annotated[int, _run(min=0, help="all that is random follows from it")] = 0,
    device: Annotated[Literal["auto", "cpu", "cuda"], _run(help="where to train")] = "auto",
    mixed_precision: Annotated[Literal["no", "fp16", "bf16"], _run(help="arithmetic of the network")] = "no",
    classes: Annotated[bool | None, _unet(help="condition on the class [default: if there are labels]")] = None,
    width: Annotated[int | None, _unet(help="channels at full size, a multiple of 8 [default: by image size]")] = None,
    multipliers: Annotated[str | None, _unet(help="channels of each level, in widths: 1,2,2")] = None,
    blocks: Annotated[int, _unet(min=1, help="ResNet blocks a level")] = 1,
    attention: Annotated[str | None, _unet(help="levels with attention: 1,2, or none [default: the last]")] = None,
    dropout: Annotated[float, _unet(help="dropout inside the network")] = 0.0,
) -> None:
    """Train a U-Net on images (DDPM, Algorithm 1) and write a checkpoint."""
    _require_packages()
    from dtool.files import files_in
    from dtool.locks import locked
    from dtool.training.config import TrainConfig
    from dtool.training.session import Every, start

    _check_output(output, preview, [data, *files_in(scheduler)], resume=resume, force=force)
    config = TrainConfig.of(
        steps=steps,
        batch_size=batch_size,
        lr=lr,
        warmup=warmup,
        decay=decay,
        label_dropout=label_dropout,
        ema=ema,
        seed=seed,
        schedule=scheduler,
        prediction=prediction,
        loss=loss,
        mixed_precision=mixed_precision,
    )
    wishes: dict[str, object] = {"width": width, "blocks": blocks, "dropout": dropout}
    wishes |= {"multipliers": _numbers("--multipliers", multipliers), "attention": _numbers("--attention", attention)}
    with locked(output, f"{output} is being trained"):
        _check_begun(output, resume=resume, force=force)
        session = start(
            data,
            output,
            config,
            network={name: value for name, value in wishes.items() if value is not None},
            size=_size(size),
            classes=classes,
            guidance=guidance,
            device=device,
            resume=resume,
            save_every=Every.parse(save_every),
            preview=preview,
            preview_every=Every.parse(preview_every),
        )
        if not quiet:
            _say(session.summary())
        with _silent() if quiet else _display(config.steps, session.trainer.step) as show:
            for progress in session.run():
                show(progress)
    if session.interrupted:
        again = "the same command with --resume goes on" if output.suffix == ".pt" else "only a .pt can be resumed"
        _say(f"interrupted after {session.trainer.step} steps; {output} is kept: {again}")
        raise typer.Exit(130)
    typer.echo(output)


def _require_packages() -> None:
    for name in ("torch", "accelerate", "safetensors"):
        if find_spec(name) is None:
            raise DtoolError(f"training needs {name}, which is not installed", "pip install 'dtool-diffusion[train]'")


def _check_output(output: Path, preview: Path | None, inputs: list[Any], *, resume: bool, force: bool) -> None:
    """Find out before hours of work, not after them."""
    from dtool.files import require_apart, require_writable
    from dtool.networks.checkpoint import SUFFIXES

    if output.suffix not in SUFFIXES:
        raise UsageError(f"{output}: unknown kind of checkpoint", "end its name in .pt or .safetensors")
    if preview is not None and preview.suffix.lower() != ".png":
        raise UsageError(f"{preview}: a preview is a PNG", "end its name in .png")
    require_apart([output, preview], inputs)
    if resume and output.suffix != ".pt":
        raise UsageError(f"--resume: {output} holds no state of training", "only a .pt can be resumed")
    _check_begun(output, resume=resume, force=force)
    require_writable(output)


def _check_begun(output: Path, *, resume: bool, force: bool) -> None:
    """Raise DtoolError unless there is a run where one is to be continued, and none where one is to begin."""
    if resume and not output.exists():
        raise DtoolError(f"--resume: there is no {output}", "leave --resume out to begin a new run")
    if output.exists() and not (resume or force):
        raise UsageError(f"{output} exists", "--resume continues it, --force replaces it")


def _numbers(option: str, text: str | None) -> tuple[int, ...] | None:
    """`1,2,2` → (1, 2, 2); `none` → ()."""
    if text is None:
        return None
    if text == "none":
        return ()
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{option} {text}: not a list of whole numbers", "write it as 1,2,2") from None


def _size(text: str | None) -> tuple[int, int] | None:
    """`32` → (32, 32); `24x32` → (24, 32): height, then width."""
    parts = _numbers("--size", text.replace("x", ",")) if text else None
    if parts is None:
        return None
    if len(parts) > 2 or min(parts, default=0) < 1:
        raise UsageError(f"--size {text}: not a size", "write 32 or HEIGHTxWIDTH")
    return parts[0], parts[-1]


@contextmanager
def _silent() -> Iterator[Show]:
    yield lambda _progress: None


@contextmanager
def _display(steps: int, done: int) -> Iterator[Show]:
    """A bar on a terminal, otherwise a plain line now and then; both on stderr."""
    if not sys.stderr.isatty():
        yield _lines(steps)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    figures = TextColumn("loss {task.fields[loss]:.4f}, {task.fields[rate]:.0f} images/s,")
    console = Console(stderr=True)
    with Progress(BarColumn(), MofNCompleteColumn(), figures, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task("", total=steps, completed=done, loss=float("nan"), rate=0.0)
        yield lambda now: bar.update(task, completed=now.step, loss=now.loss, rate=now.rate)


def _lines(steps: int) -> Show:
    last = time.monotonic() - LINE_EVERY

    def show(now: Progress) -> None:
        nonlocal last
        if time.monotonic() - last < LINE_EVERY and now.step < steps:
            return
        last = time.monotonic()
        left = (steps - now.step) * now.seconds_per_step
        with suppress(OSError):  # nobody reads it any more: that is no reason to stop
            _say(f"step {now.step}/{steps}  loss {now.loss:.4f}  {now.rate:.0f} images/s  {_time(left)} left")

    return show


def _time(seconds: float) -> str:
    minutes = seconds / 60
    return f"{minutes:.1f} min" if minutes < 100 else f"{minutes / 60:.1f} h"


def _say(text: str) -> None:
    typer.echo(text, err=True)
