"""Arguments that several commands have, opening the network they name, and how a run shows its progress."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dtool.errors import UsageError

if TYPE_CHECKING:
    from dtool.networks.network import Network

SUFFIXES = (".pt", ".pth", ".onnx", ".safetensors")
FACTORY = re.compile(r"[\w.]+:\w+")  # a recipe's option has an =, so that no recipe looks like this
MODEL_HELP = ".pt, .safetensors, .onnx, or package.module:factory [default: the network of digits inside the package]"

Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1", rich_help_panel="Where it runs")]
Backend = Annotated[
    str | None,
    typer.Option(help="insist on torch or onnxruntime", show_default=False, rich_help_panel="Where it runs"),
]
Seed = Annotated[int, typer.Option(help="image i of a seed starts from the same noise everywhere")]
Classes = Annotated[
    str | None,
    typer.Option(
        "--class",
        "--classes",
        help="classes, repeated over the images: 7, or 3,1,4, or none [default: all in turn]",
        show_default=False,
    ),
]
Guidance = Annotated[
    float | None, typer.Option(min=0, help="guidance scale [default: the network's own]", show_default=False)
]
Clip = Annotated[
    bool | None,
    typer.Option(
        "--clip/--no-clip",
        help="keep predicted images in the data's range [default: as trained]",
        show_default=False,
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="images at a time [default: what suits the device]; the same bits only for the same size",
        show_default=False,
        rich_help_panel="Where it runs",
    ),
]


def is_model(word: str) -> bool:
    """Whether a word names a network rather than a recipe."""
    return bool(Path(word).suffix.lower() in SUFFIXES or FACTORY.fullmatch(word) or Path(word).is_file())


def open_network(model: str | None, device: str, backend: str | None) -> Network:
    """The network in `model`, or the one inside the package; see `dtool.load` for the errors."""
    import dtool

    if model is not None:
        return dtool.load(model, device=device, backend=backend)
    if backend not in (None, "torch", "onnxruntime"):
        raise UsageError(f"there is no backend {backend!r}", "use torch or onnxruntime")
    if backend == "torch":
        raise UsageError(f"the network inside the package runs on onnxruntime, not on {backend}", "leave --backend out")
    return dtool.default_network(device)


@contextmanager
def progress_bar(label: str, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A function (done, total) that moves a bar on stderr; None where there is no terminal, or it shall be quiet."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
