"""The flags of `dtool sample` that say which files it writes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from dtool.cli.flags.groups import FlagGroup

_file = partial(typer.Option, rich_help_panel="Files")


@dataclass(frozen=True, kw_only=True)
class SampleFiles:
    """The picture, the array, and whether a second picture shows the steps."""

    output: Annotated[Path | None, _file("--output", "-o", help="the picture [default: samples.png]")] = None
    npz: Annotated[Path | None, _file(help="write the array too: x0, labels, ids")] = None
    latents: Annotated[
        bool, _file("--latents", help="in the array, beside the decoded pictures, what was sampled: latents")
    ] = False
    trace: Annotated[bool, _file("--trace", help="a second picture: x_t above the image predicted from it")] = False

    @property
    def has_extra_picture(self) -> bool:
        """Whether the picture is one that nobody asked for: it comes with the array where it can, replacing nothing."""
        return self.output is None and self.npz is not None


SAMPLE_FILES = FlagGroup.of(SampleFiles)
