"""Arguments that several commands have, opening the network they name, and how a run shows its progress."""

from __future__ import annotations

import functools
import inspect
import re
import sys
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dtool.errors import UsageError
from dtool.samplers.rule import Prediction

if TYPE_CHECKING:
    from dtool.networks.network import Network

SUFFIXES = (".pt", ".pth", ".onnx", ".safetensors")
FACTORY = re.compile(r"[\w.]+:\w+")  # a recipe's option has an =, so that no recipe looks like this
WHERE, FOREIGN = "Where it runs", "A foreign ONNX file"
MODEL_HELP = (
    ".pt, .safetensors, .onnx, package.module:factory, or a closed form such as gmm:d=2 "
    "[default: the network of digits inside the package]"
)

Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1", rich_help_panel=WHERE)]
Backend = Annotated[
    str | None,
    typer.Option(help="insist on torch or onnxruntime", show_default=False, rich_help_panel=WHERE),
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
Threshold = Annotated[
    float | None,
    typer.Option(help="instead of clipping, dynamic thresholding at this quantile, e.g. 0.995", show_default=False),
]
Clip = Annotated[
    bool | None,
    typer.Option(
        "--clip/--no-clip",
        help="keep predicted images in the data's range [default: as trained]",
        show_default=False,
    ),
]
ClassifierFile = Annotated[
    Path | None,
    typer.Option("--classifier", help="an ONNX file that says of which class an image is", show_default=False),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="images at a time [default: what suits the device]; the same bits only for the same size",
        show_default=False,
        rich_help_panel=WHERE,
    ),
]


@dataclass(frozen=True)
class Opening:
    """How a network's file is opened, and what must be said of one that does not say it: a flag for each field."""

    provider: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[:k=v,…]",
            help="instead of --device: an execution provider of ONNX Runtime",
            show_default=False,
            rich_help_panel=WHERE,
        ),
    ] = None
    time_limit: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="stop a call of an ONNX file after this; 0: never [default: 120; 1200 for a whole sampler]",
            show_default=False,
            rich_help_panel=WHERE,
        ),
    ] = None
    compile: Annotated[
        bool,
        typer.Option(
            "--compile",
            help="a network on PyTorch through torch.compile; with CUDA graphs on CUDA",
            rich_help_panel=WHERE,
        ),
    ] = False
    cuda_graph: Annotated[
        bool,
        typer.Option(
            "--cuda-graph",
            help="an ONNX file's calls as a CUDA graph; needs PyTorch with CUDA, too",
            rich_help_panel=WHERE,
        ),
    ] = False
    schedule: Annotated[
        str | None,
        typer.Option(
            help="the noise schedule that it was trained under (--scheduler is the one to sample with)",
            show_default=False,
            rich_help_panel=FOREIGN,
        ),
    ] = None
    prediction: Annotated[
        Prediction | None,
        typer.Option(help="what it was trained to predict", show_default=False, rich_help_panel=FOREIGN),
    ] = None
    shape: Annotated[
        str | None,
        typer.Option(
            help="one sample: 3,32,32 [default: as the file says]", show_default=False, rich_help_panel=FOREIGN
        ),
    ] = None
    num_classes: Annotated[
        int | None,
        typer.Option(
            min=1, help="how many classes it was trained on, if any", show_default=False, rich_help_panel=FOREIGN
        ),
    ] = None
    null_class: Annotated[
        bool | None,
        typer.Option(
            "--null-class/--no-null-class",
            help="whether that number, as a label, means no class [default: tried out]",
            show_default=False,
            rich_help_panel=FOREIGN,
        ),
    ] = None
    data_range: Annotated[
        str | None,
        typer.Option(
            metavar="LOW,HIGH", help="of its images [default: -1,1]", show_default=False, rich_help_panel=FOREIGN
        ),
    ] = None

    learned_variance: Annotated[
        bool | None,
        typer.Option(
            "--learned-variance/--no-learned-variance",
            help="whether the second half of its output is a variance [default: as the file says]",
            show_default=False,
            rich_help_panel=FOREIGN,
        ),
    ] = None

    @property
    def more(self) -> dict[str, Any]:
        """What else was said of where and how it runs, as `dtool.load` takes it."""
        said = {name: getattr(self, name) for name in ("provider", "time_limit", "compile", "cuda_graph")}
        return {name: value for name, value in said.items() if value is not None and value is not False}

    @property
    def spec(self) -> dict[str, Any] | None:
        """What was said of a foreign network, as `dtool.load` takes it; None if nothing was."""
        said = {
            "schedule": self.schedule,
            "prediction": self.prediction,
            "classes": self.num_classes,
            "null_class": self.null_class,
            "shape": self.shape and _numbers(self.shape, int, "--shape", "3,32,32"),
            "learned_variance": self.learned_variance,
            "data_range": self.data_range and _numbers(self.data_range, float, "--data-range", "-1,1"),
        }
        return {name: value for name, value in said.items() if value is not None} or None


def _numbers(text: str, kind: Callable[[str], float], option: str, example: str) -> tuple[float, ...]:
    """`3,32,32` → (3, 32, 32)."""
    try:
        return tuple(kind(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{option} {text}: not a list of numbers", f"write it as {example}") from None


def with_opening(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function(…, opening: Opening)` with a flag for each field of `Opening` in place of `opening`."""
    hints, flags = (typing.get_type_hints(thing, include_extras=True) for thing in (function, Opening))
    own = [p.replace(annotation=hints[p.name]) for p in inspect.signature(function).parameters.values()]
    kind = inspect.Parameter.KEYWORD_ONLY
    extra = [inspect.Parameter(f.name, kind, default=f.default, annotation=flags[f.name]) for f in fields(Opening)]

    @functools.wraps(function)
    def wrapper(**given: Any) -> Any:
        opening = Opening(**{f.name: given.pop(f.name) for f in fields(Opening)})
        return function(**given, opening=opening)

    named = [p for p in own if p.kind != kind] + extra + [p for p in own if p.kind == kind and p.name != "opening"]
    wrapper.__signature__ = inspect.Signature(named)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in named}
    return wrapper


def is_model(word: str) -> bool:
    """Whether a word names a network rather than a recipe."""
    return bool(Path(word).suffix.lower() in SUFFIXES or FACTORY.fullmatch(word) or Path(word).is_file())


def open_network(model: str | None, device: str, backend: str | None, opening: Opening | None = None) -> Network:
    """The network in `model`, a closed form by its name, or the one inside the package; for errors see `dtool.load`."""
    import dtool

    opening = opening or Opening()
    exact = None if model is None or is_model(model) else _closed_form(model)
    if exact is not None:
        if device not in ("auto", "cpu") or backend is not None or opening.more or opening.spec:
            raise UsageError(f"{model} is a closed form: it runs on numpy, as it is", "leave out how it is opened")
        return exact
    spec, more = opening.spec, opening.more
    if model is not None:
        return dtool.load(model, device=device, backend=backend, spec=spec, **more)
    if backend not in (None, "torch", "onnxruntime"):
        raise UsageError(f"there is no backend {backend!r}", "use torch or onnxruntime")
    if backend == "torch":
        raise UsageError(f"the network inside the package runs on onnxruntime, not on {backend}", "leave --backend out")
    if spec is not None:
        raise UsageError(
            "the network inside the package says itself what it was trained for",
            "leave out --schedule, --prediction and the like; another schedule to sample with is --scheduler",
        )
    if opening.compile:
        raise UsageError(
            "the network inside the package runs on onnxruntime, and only PyTorch compiles", "leave it out"
        )
    return dtool.default_network(device, **more)


def _closed_form(model: str) -> Network | None:
    """The exact network of a closed form such as `gmm:d=2`, None if `model` names none."""
    from dtool.targets import is_target, target

    return target(model).network() if is_target(model) else None


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
