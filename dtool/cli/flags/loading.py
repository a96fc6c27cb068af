"""The flags that say which network a command takes, what it is and where it runs; and opening it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from dtool.cli.flags.groups import FlagGroup
from dtool.cli.flags.values import parse_data_range, parse_interval, parse_shape
from dtool.errors import DtoolError, UsageError, format_value
from dtool.models.description import UNDESCRIBED, Description
from dtool.models.requirements import refuse_torch
from dtool.models.runtime import ANYWHERE, Runtime
from dtool.models.time_convention import TimeConvention

if TYPE_CHECKING:
    from dtool.models.network import Network

SUFFIXES = (".pt", ".pth", ".onnx", ".safetensors")
FACTORY = re.compile(r"[\w.]+:\w+")  # a recipe's option has an =, so that no recipe looks like this
MODEL_HELP = (
    ".pt, .safetensors, .onnx, another library's file or folder (dtool model), package.module:factory, or a closed "
    "form such as gmm:d=2 [default: the network of digits inside the package]"
)
_where = partial(typer.Option, rich_help_panel="Where it runs")
_foreign = partial(typer.Option, rich_help_panel="A network that does not say what it is", show_default=False)

Device = Annotated[str, _where(help="auto, cpu, cuda or cuda:1")]
BatchSize = Annotated[
    int | None,
    _where(
        min=1,
        help="images at a time [default: what suits the device]; the same bits only for the same size",
        show_default=False,
    ),
]
RUNTIME = FlagGroup(
    Runtime,
    {
        "device": Device,
        "backend": Annotated[str | None, _where(help="insist on torch or onnxruntime", show_default=False)],
        "provider": Annotated[
            str | None,
            _where(
                metavar="NAME[:k=v,…]",
                help="instead of --device: an execution provider of ONNX Runtime",
                show_default=False,
            ),
        ],
        "time_limit": Annotated[
            float | None,
            _where(
                min=0,
                metavar="SECONDS",
                help="stop a call of an ONNX file after this; 0: never [default: 120; 1200 for a whole sampler]",
                show_default=False,
            ),
        ],
        "compile": Annotated[
            bool, _where("--compile", help="a network on PyTorch through torch.compile; with CUDA graphs on CUDA")
        ],
        "cuda_graph": Annotated[
            bool, _where("--cuda-graph", help="an ONNX file's calls as a CUDA graph; needs PyTorch with CUDA, too")
        ],
        "text_encoder": Annotated[
            str | None,
            _where(metavar="PATH", help="the sentence encoder of a network trained with words", show_default=False),
        ],
    },
)
DESCRIPTION = FlagGroup(
    Description,
    {
        "schedule": Annotated[
            str | None,
            _foreign(help="the noise schedule that it was trained under (--scheduler is the one to sample with)"),
        ],
        "prediction": Annotated[
            str | None, _foreign(help="what it was trained to predict: eps, x0, v, flow or edm:sigma_data=0.5")
        ],
        "time": Annotated[
            TimeConvention | None, _foreign(help="what it is told as its time [default: the index of the step]")
        ],
        "shape": Annotated[
            str | None,
            _foreign(help="one sample: 3,32,32 [default: as the file says]"),
        ],
        "classes": Annotated[
            int | None, _foreign("--num-classes", min=1, help="how many classes it was trained on, if any")
        ],
        "null_class": Annotated[
            bool | None,
            _foreign(
                "--null-class/--no-null-class",
                help="whether that number, as a label, means no class [default: tried out]",
            ),
        ],
        "data_range": Annotated[str | None, _foreign(metavar="LOW,HIGH", help="of its images [default: -1,1]")],
        "learned_variance": Annotated[
            bool | None,
            _foreign(
                "--learned-variance/--no-learned-variance",
                help="whether the second half of its output is a variance [default: as the file says]",
            ),
        ],
        "guidance": Annotated[
            float | None,
            _foreign("--default-guidance", min=0, help="the guidance scale that it is used with by default"),
        ],
        "guidance_interval": Annotated[
            str | None,
            _foreign(metavar="LOW:HIGH", help="the λ = log(α/σ) between which that is recommended (dtool recommend)"),
        ],
    },
    parsers={"shape": parse_shape, "data_range": parse_data_range, "guidance_interval": parse_interval},
)


@dataclass(frozen=True, kw_only=True)
class Opening:
    """How a network is opened, and called with how many images at a time."""

    runtime: Runtime
    description: Description
    batch_size: BatchSize = None

    def open(self, model: str | None) -> Network:
        """The network in `model`; see `open_network`."""
        return open_network(model, self.runtime, self.description)


OPENING = FlagGroup(Opening, {"batch_size": BatchSize}, parts={"runtime": RUNTIME, "description": DESCRIPTION})


def is_model(word: str) -> bool:
    """Whether a word names a network rather than a recipe."""
    from dtool.plan.foreign import find_library
    from dtool.plan.plan_file import find_plan_file

    if find_library(word) is not None or find_plan_file(word) is not None:
        return False
    path = Path(word)
    if path.suffix.lower() in SUFFIXES or FACTORY.fullmatch(word) or path.is_file():
        return True
    if not path.is_dir():
        return False
    from dtool.models.find_reader import find_reader

    return word.endswith("/") or find_reader(path) is not None


def open_network(model: str | None, runtime: Runtime = ANYWHERE, description: Description = UNDESCRIBED) -> Network:
    """The network in `model`, a closed form by its name, or the one inside the package; for errors see `dtool.load`."""
    import dtool
    from dtool.run.load import open_source

    exact = None if model is None or is_model(model) else _open_closed_form(model)
    if exact is not None:
        on_cpu = replace(runtime, device="auto") if runtime.device == "cpu" else runtime
        if on_cpu != ANYWHERE or not description.is_empty:
            raise UsageError(f"{model} is a closed form: it runs on numpy, as it is", "leave out how it is opened")
        return exact
    if model is not None:
        _refuse_recipe(model)
        return open_source(model, description, runtime)
    if not description.is_empty:
        raise UsageError(
            "the network inside the package says itself what it was trained for",
            "leave out --schedule, --prediction and the like; another schedule to sample with is --scheduler",
        )
    refuse_torch("the network inside the package", runtime)
    return dtool.default_network(**runtime.changes())


def _refuse_recipe(model: str) -> None:
    """Raise UsageError for a recipe in the place of a network."""
    from dtool.plan import Recipe

    if is_model(model) or Path(model).exists():
        return
    try:
        Recipe.parse(model)
    except DtoolError:
        return
    raise UsageError(f"{format_value(model)} is a recipe, no network", f"name it so: --sampler {quote(model)}")


def _open_closed_form(model: str) -> Network | None:
    """The exact network of a closed form such as `gmm:d=2`, None if `model` names none."""
    from dtool.targets import is_target, target

    return target(model).network() if is_target(model) else None
