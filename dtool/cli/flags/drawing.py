"""The flags that several commands have for the images that they draw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dtool.cli.flags.groups import FlagGroup
from dtool.errors import UsageError

if TYPE_CHECKING:
    from dtool.models.network import Network

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
Guidances = Annotated[
    list[str] | None,
    typer.Option(
        "--guidance",
        metavar="SCALE[@LOW:HIGH]",
        help="guidance of recipes that name none: a scale; 3@-1.3:0.3, between two λ = log(α/σ); or another by name, "
        "e.g. cfgpp:scale=0.6 (dtool guidances lists them) [default: the recipe's or the network's own]",
        show_default=False,
    ),
]
Threshold = Annotated[
    str | None,
    typer.Option(
        help="instead of clipping, dynamic thresholding at this quantile, e.g. 0.995; 0.995:1.5 with an upper bound",
        metavar="QUANTILE[:MOST]",
        show_default=False,
    ),
]
NoiseSource = Annotated[
    str | None,
    typer.Option(
        "--noise",
        metavar="rows|path",
        help="path: what steps add are increments of one Brownian path an image, so that few steps and many of a "
        "stochastic sampler come to the same picture [default: rows]",
        show_default=False,
    ),
]
Clip = Annotated[
    bool | None,
    typer.Option(
        "--clip/--no-clip",
        help="keep predicted images in the data's range [default: as trained]",
        show_default=False,
    ),
]
Weak = Annotated[
    Path | None,
    typer.Option(
        metavar="MODEL",
        help="a weaker network, smaller or trained for less, which guidance compares with instead of no conditions "
        "(autoguidance)",
        show_default=False,
    ),
]
ClassifierFile = Annotated[
    Path | None,
    typer.Option("--classifier", help="an ONNX file that says of which class an image is", show_default=False),
]


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """Which images of which noise are drawn, and how the network is called for them."""

    seed: Seed = 0
    classes: Classes = None
    guidances: Guidances = None
    clip: Clip = None
    weak: Weak = None

    def attach_weak(self, net: Network, opening: Callable[[str], Network]) -> Network:
        """The network, with the weaker one that guidance compares with, if one is named; `opening` opens it.

        Raises UsageError unless both say the same of the same samples.
        """
        if self.weak is not None:
            from dtool.run.guided_plan import require_comparable

            weak = opening(str(self.weak))
            require_comparable(net, weak)
            net.weak = weak
        return net

    def name_model(self, model: str | None) -> str | None:
        """The model as a document names it, with the weaker one beside it."""
        own = model or "the network inside the package"
        return model if self.weak is None else f"{own}, guided against {self.weak}"

    def describe(self) -> dict[str, str]:
        """The weaker network as JSON can hold it; nothing of none."""
        return {} if self.weak is None else {"weak": str(self.weak)}

    def list_files(self) -> list[Path]:
        """The files that are read: none of them may be written."""
        return [self.weak] if self.weak is not None else []

    @property
    def guidance(self) -> str | None:
        """The guidance; raises UsageError for several, where images are drawn with one."""
        return require_one_guidance(self.guidances)


def require_one_guidance(words: Sequence[str] | None) -> str | None:
    """The guidance that was typed, if any; raises UsageError for several."""
    if words and len(words) > 1:
        said = " and ".join(f"--guidance {word}" for word in words)
        raise UsageError(f"{said} are given", "give one; dtool compare takes several")
    return words[0] if words else None


DRAWING = FlagGroup.of(Drawing)
