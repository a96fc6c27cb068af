"""A folder is filled with the blocks of a job: what is there is verified, what is missing is drawn, nothing is lost."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from dtool.errors import DtoolError
from dtool.parts.block import Block
from dtool.parts.block_file import (
    BlockImages,
    DamagedError,
    find_temporaries,
    name_path,
    read_block,
    remove_block,
    write_block,
)
from dtool.parts.job import Job, draw_block, show_block
from dtool.parts.manifest import Manifest
from dtool.parts.workers import for_each_block
from dtool.util.locks import InUseError, hold_lock

LISTED = 3  # names of damaged blocks in an error


class State(Enum):
    """What became of a block."""

    DRAWN = "drawn"
    THERE = "there"
    ELSEWHERE = "elsewhere"  # another run is drawing it
    DAMAGED = "damaged"


@dataclass(frozen=True)
class Outcome:
    """What became of a block, and why, if it is damaged."""

    block: Block
    state: State
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Filling:
    """A job, and the folder that its blocks go into; given to each worker.

    redraw: whether a damaged block is replaced, which is otherwise told and left as it is.
    """

    job: Job
    folder: Path
    manifest: Manifest
    redraw: bool = False


def fill_block(filling: Filling, block: Block) -> Outcome:
    """See to it that one block is in the folder: verified if it is there, else drawn and written."""
    outcome = _look(filling, block)
    if outcome is not None:
        return outcome
    path = name_path(filling.folder, filling.manifest, block)
    try:
        with hold_lock(path, f"{path} is being drawn"):
            outcome = _look(filling, block)  # a run that held the lock may have drawn it
            if outcome is not None:
                return outcome
            save_block(filling, block, draw_images(filling.job, block))
    except InUseError:
        return Outcome(block, State.ELSEWHERE)
    return Outcome(block, State.DRAWN)


def draw_images(job: Job, block: Block) -> BlockImages:
    """The images of a block as a folder keeps them: a pure function, in whatever process it is called."""
    out = draw_block(job, block)
    return BlockImages(block, show_block(job, block, out), out.labels)


def save_block(filling: Filling, block: Block, images: BlockImages) -> None:
    """Write a block that was drawn, and remove what killed processes have left of it."""
    path = name_path(filling.folder, filling.manifest, block)
    for left in find_temporaries(filling.folder, block):
        with contextlib.suppress(OSError):
            remove_block(left)
    if filling.redraw and path.exists():
        remove_block(path)
    write_block(path, filling.manifest, images)


def look_at(folder: Path, manifest: Manifest, block: Block) -> Outcome | None:
    """A block that is there, verified; None if there is none. Raises OSError if it cannot be read."""
    try:
        read_block(name_path(folder, manifest, block), manifest, block)
    except FileNotFoundError:
        return None
    except DamagedError as error:
        return Outcome(block, State.DAMAGED, str(error))
    return Outcome(block, State.THERE)


def _look(filling: Filling, block: Block) -> Outcome | None:
    outcome = look_at(filling.folder, filling.manifest, block)
    return None if filling.redraw and outcome is not None and outcome.state is State.DAMAGED else outcome


@dataclass(kw_only=True)
class Tally:
    """How many blocks, and images in them, had which fate; the damaged ones by name."""

    blocks: Counter[State] = field(default_factory=Counter)
    images: Counter[State] = field(default_factory=Counter)
    damaged: list[str] = field(default_factory=list)

    def add(self, filling: Filling, outcome: Outcome) -> None:
        """Count one block."""
        self.blocks[outcome.state] += 1
        self.images[outcome.state] += len(outcome.block)
        if outcome.state is State.DAMAGED:
            name = name_path(filling.folder, filling.manifest, outcome.block).name
            self.damaged.append(f"{name} ({outcome.why})")

    def require_sound(self, folder: Path) -> None:
        """Raise DtoolError for damaged blocks, by their names."""
        if self.damaged:
            raise DtoolError(
                f"{folder}: {format_names(self.damaged, 'is damaged', 'are damaged')}",
                "draw them again in their place: --redraw; what is sound stays",
            )


def format_names(names: Sequence[str], one: str, several: str) -> str:
    """`1 block is missing: …`, with the first few names."""
    what = f"1 block {one}" if len(names) == 1 else f"{len(names)} blocks {several}"
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"{what}: {', '.join(names[:LISTED])}{more}"


def inspect(folder: Path, manifest: Manifest) -> Iterator[Outcome | Block]:
    """Every block of a folder, verified, in id order; of one that is missing the block alone."""
    for block in manifest.blocks:
        yield look_at(folder, manifest, block) or block


def fill_folder(
    filling: Filling,
    blocks: Sequence[Block],
    *,
    workers: int = 1,
    on_done: Callable[[int], None] | None = None,
) -> Tally:
    """Fill a folder with these blocks, by so many processes; returns what became of them.

    Blocks that another run was drawing are looked at again in the end; what it then still draws is left to it.
    on_done(images): after each block, how many images it has. Raises what drawing and writing raise.
    """
    outcomes: dict[Block, Outcome] = {}
    left = blocks
    for _ in range(2):
        todo = left
        steps = for_each_block(filling, fill_block, todo, workers=workers)
        for outcome in steps:
            is_new = outcome.block not in outcomes
            outcomes[outcome.block] = outcome
            if on_done is not None and is_new:
                on_done(len(outcome.block))
        left = [block for block in todo if outcomes[block].state is State.ELSEWHERE]
        if not left:
            break
    tally = Tally()
    for outcome in outcomes.values():
        tally.add(filling, outcome)
    return tally
