"""The flags of work that several processes or machines do: who draws what, and where it is left for the others."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dtool.cli.flags.groups import FlagGroup

if TYPE_CHECKING:
    from dtool.cli.flags.decoder import DecoderWords
    from dtool.cli.flags.drawing import Drawing
    from dtool.cli.flags.loading import Opening
    from dtool.compare.work_sharing import WorkSharing
    from dtool.models.network import Network

Workers = Annotated[
    int | None,
    typer.Option(
        min=1, help="processes that share the work; the result has the same bytes for any number", show_default=False
    ),
]


@dataclass(frozen=True, kw_only=True)
class SharingFlags:
    """How many processes draw, which part of all blocks, and where they are left."""

    workers: Workers = None
    into: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="leave each block here, and skip those that are there: after an interruption, or of others",
            show_default=False,
        ),
    ] = None
    part: Annotated[
        str | None,
        typer.Option(
            metavar="K/N",
            help="draw this part of the blocks into the folder; whichever part is last makes the result [default: as "
            "torchrun, SLURM or Kubernetes say, else 1/1]",
            show_default=False,
        ),
    ] = None

    @property
    def is_given(self) -> bool:
        """Whether any of them is."""
        return self.workers is not None or self.into is not None or self.part is not None

    def resolve(self, model: SharedModel) -> WorkSharing | None:
        """The sharing that was asked for, None for none; raises UsageError for what is no part, or has no folder.

        model: what opens the network in each worker.
        """
        if not self.is_given:
            return None
        from dtool.compare.work_sharing import WorkSharing
        from dtool.parts.share import WHOLE, find_share

        share = find_share(os.environ, self.part) if self.into is not None or self.part is not None else WHOLE
        return WorkSharing(
            folder=self.into, workers=self.workers or 1, share=share, opener=model, files=model.list_files()
        )


SHARING = FlagGroup.of(SharingFlags)


@dataclass(frozen=True, kw_only=True)
class SharedModel:
    """The network of a command, as each worker opens it."""

    name: str | None
    opening: Opening
    drawing: Drawing | None = None
    decoder: DecoderWords | None = None

    def __call__(self) -> Network:
        """The network, with its decoder and weaker one."""
        net = self.opening.open(self.name)
        net = net if self.decoder is None else self.decoder.attach(net, self.opening.runtime)
        return net if self.drawing is None else self.drawing.attach_weak(net, self.opening.open)

    def share(self, workers: int | None) -> WorkSharing | None:
        """So many worker processes that open it; None where no number was given."""
        from dtool.compare.work_sharing import WorkSharing

        return None if workers is None else WorkSharing(workers=workers, opener=self, files=self.list_files())

    def list_files(self) -> list[Path]:
        """The files that it is in, which identify it; none of a closed form."""
        from importlib.resources import as_file, files

        if self.name is None:
            with as_file(files("dtool.models") / "digits.onnx") as path:
                return [path]
        named = [
            Path(self.name),
            None if self.decoder is None else self.decoder.path,
            None if self.drawing is None else self.drawing.weak,
        ]
        return [path for path in named if path is not None and path.exists()]


def sum_with_one_thread() -> None:
    """Let numpy sum with one thread, before it is loaded: the last bits of a product depend on the number of them."""
    if "numpy" not in sys.modules:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        os.environ.setdefault("MKL_NUM_THREADS", "1")


@contextmanager
def allow_unfinished(sharing: WorkSharing | None, quiet: bool) -> Iterator[None]:
    """End the command well where one of several parts has done its own, and others are not there yet."""
    if sharing is None or sharing.share.count == 1:
        yield
        return
    from dtool.cli.show.output import remark
    from dtool.compare.work_sharing import UnfinishedError

    try:
        yield
    except UnfinishedError as error:
        remark(f"part {sharing.share} is done. {error}: {error.hint}", quiet)
        raise typer.Exit from error
