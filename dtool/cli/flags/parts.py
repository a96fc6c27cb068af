"""The flags of `dtool sample` for a run over many images, in blocks that any process may draw."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dtool.cli.flags.groups import FlagGroup
from dtool.cli.flags.ray_address import RAY
from dtool.errors import UsageError

if TYPE_CHECKING:
    from dtool.cli.flags.decoder import DecoderWords
    from dtool.cli.flags.drawing import Drawing
    from dtool.cli.flags.loading import Opening
    from dtool.models.network import Network
    from dtool.parts.share import Share

_part = partial(typer.Option, rich_help_panel="Many images", show_default=False)


@dataclass(frozen=True, kw_only=True)
class PartsWords:
    """What was typed of the folder that is filled, and of who fills it."""

    into: Annotated[
        Path | None,
        _part(metavar="FOLDER", help="draw into a folder, in blocks of ids: what is there is kept, so run it again"),
    ] = None
    kind: Annotated[
        Literal["npz", "png"], _part("--format", help="a block's file: an array, or a folder of PNGs [default: npz]")
    ] = "npz"
    block_size: Annotated[
        int | None, _part(min=1, metavar="N", help="images of a block [default: 256, fewer of large ones]")
    ] = None
    workers: Annotated[int, _part(min=1, max=1024, metavar="N", help="processes on this machine [default: 1]")] = 1
    part: Annotated[
        str | None,
        _part(
            metavar="K/N",
            help="draw a part of the blocks [default: as torchrun, SLURM or Kubernetes has numbered this process]",
        ),
    ] = None
    parts: Annotated[
        int | None,
        _part(min=1, metavar="N", help="how many parts there are, where only Kubernetes knows which is this"),
    ] = None
    redraw: Annotated[bool, _part("--redraw", help="draw damaged blocks again, in their place")] = False
    ray: Annotated[
        str | None, _part("--ray", metavar="[ADDRESS]", help="draw the blocks as tasks of a Ray cluster that runs")
    ] = None

    def find_share(self) -> Share:
        """The part of the blocks that this process draws; raises UsageError for what contradicts itself."""
        import os

        from dtool.parts.share import WHOLE, find_share

        if self.ray is not None:
            if self.part is not None or self.parts is not None or self.workers > 1:
                raise UsageError("--ray divides the blocks itself", "leave out --part, --parts and --workers")
            return WHOLE
        return find_share(os.environ, self.part, self.parts)

    def require_folder(self) -> None:
        """Raise UsageError for what is said of a folder that is not named."""
        said = {
            "--format": self.kind != "npz", "--block-size": self.block_size is not None, "--workers": self.workers > 1,
            "--part": self.part is not None, "--parts": self.parts is not None, "--redraw": self.redraw,
            RAY: self.ray is not None,
        }  # fmt: skip
        for flag, is_given in said.items():
            if is_given and self.into is None:
                raise UsageError(f"{flag} is for a run into a folder", "name the folder: --into FOLDER")

    def require_alone(self, others: dict[str, bool]) -> None:
        """Raise UsageError for flags that a run into a folder does not have; others: whether each is given."""
        for flag, is_given in others.items():
            if is_given and self.into is not None:
                raise UsageError(f"{flag} is not for a run into a folder", "leave it out, or leave out --into")


PARTS = FlagGroup.of(PartsWords)


@dataclass(frozen=True, kw_only=True)
class SampleModel:
    """The networks that `dtool sample` draws with, as a worker opens them, too."""

    names: tuple[str, ...]
    opening: Opening
    decoder: DecoderWords
    drawing: Drawing

    def __call__(self) -> list[Network]:
        """The network, with its decoder and weaker one, and those after it in a cascade."""
        first = self.opening.open(self.names[0] if self.names else None)
        net = self.drawing.attach_weak(self.decoder.attach(first, self.opening.runtime), self.opening.open)
        return [net, *(self.opening.open(name) for name in self.names[1:])]

    def list_files(self) -> list[Path]:
        """The files and folders that the networks are in, which identify them; none of what has no file."""
        from importlib.resources import as_file, files

        if not self.names:
            with as_file(files("dtool.models") / "digits.onnx") as path:
                return [path]
        more = [self.decoder.path, self.drawing.weak]
        return [Path(name) for name in self.names] + [path for path in more if path is not None]
