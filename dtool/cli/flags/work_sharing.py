"""The flags of work that several processes or machines do: who draws what, and where it is left for the others."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dtool.cli.flags.groups import FlagGroup

if TYPE_CHECKING:
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
            help="leave each block of images here, and skip those that are there: after an interruption, or of others",
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

    def resolve(self, opener: Callable[[], Network], files: Sequence[str | Path | None] = ()) -> WorkSharing | None:
        """The sharing that was asked for, None for none; raises UsageError for what is no part, or has no folder.

        opener: as `WorkSharing` has it. files: words that may name the model's files.
        """
        if not self.is_given:
            return None
        from dtool.compare.work_sharing import WorkSharing
        from dtool.parts.share import WHOLE, find_share

        share = find_share(os.environ, self.part) if self.into is not None or self.part is not None else WHOLE
        named = [Path(source) for source in files if source]
        return WorkSharing(
            folder=self.into, workers=self.workers or 1, share=share, opener=opener,
            files=[path for path in named if path.exists()],
        )  # fmt: skip


SHARING = FlagGroup.of(SharingFlags)


def sum_with_one_thread() -> None:
    """Let numpy sum with one thread, before it is loaded: the last bits of a product depend on the number of them."""
    if "numpy" not in sys.modules:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        os.environ.setdefault("MKL_NUM_THREADS", "1")
