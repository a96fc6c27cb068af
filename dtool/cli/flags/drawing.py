"""The flags that several commands have for the images that they draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from dtool.cli.flags.groups import FlagGroup
from dtool.errors import UsageError

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


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """Which images of which noise are drawn, and how the network is called for them."""

    seed: Seed = 0
    classes: Classes = None
    guidances: Guidances = None
    clip: Clip = None

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
