"""A comparison drawn by several processes, or on several machines: blocks of images in a folder, joined when all are
there.

A block is the images of one plan with neighbouring ids, a function of those alone, so that it does not matter who drew
it. Whoever finds all of them there makes the comparison of them: the same bytes whoever that is, times left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from dtool.compare.drawing import ComparisonSampler
from dtool.compare.kept_images import PART, ImageCache
from dtool.errors import DtoolError, UsageError
from dtool.models.network import Network
from dtool.parts.block import Block, choose_block_size, divide
from dtool.parts.share import WHOLE, Share
from dtool.parts.workers import for_each_block
from dtool.util import bounded_reading
from dtool.util.files import write_atomically

ABOUT = "comparison.json"  # what the blocks of a folder are of
HELD_PLANS = 2  # whose images are in memory at a time
SHOWN = 60  # letters of a setting in a message
Images = NDArray[np.float32]


class UnfinishedError(DtoolError):
    """Blocks are missing that other parts draw: `missing` of `total`."""

    def __init__(self, folder: Path, missing: int, total: int) -> None:
        super().__init__(
            f"{folder}: {missing} of {total} blocks are not there yet",
            "run the other parts with the same --into; the one that draws the last block makes the report",
        )
        self.missing, self.total = missing, total


@dataclass(frozen=True, kw_only=True)
class WorkSharing:
    """Who draws a comparison: so many worker processes of this share; blocks are left in `folder`, where others' are.

    folder: None keeps none. opener: what opens the network in each worker, a function of a module or a partial of
    one; not needed by a single one. files: what the network is in, whose content identifies it on every machine.
    """

    folder: Path | None = None
    workers: int = 1
    share: Share = WHOLE
    opener: Callable[[], Network] | None = None
    files: Sequence[Path] = ()

    def __post_init__(self) -> None:
        if self.share.count > 1 and self.folder is None:
            raise UsageError(f"part {self.share} leaves its blocks nowhere", "name a folder for all parts: --into")
        if self.workers > 1 and self.opener is None:
            raise UsageError("a network in memory cannot be given to other processes", "name its file, or use 1 worker")


@dataclass(frozen=True)
class PlanBlock:
    """Some images of one plan."""

    plan: int
    block: Block

    def __str__(self) -> str:
        return f"recipe {self.plan + 1}, {self.block}"


@dataclass(frozen=True, kw_only=True, eq=False)
class DrawingJob:
    """What a process needs to draw any block; pickled without the network, which each process opens."""

    opener: Callable[[], Network]
    sampler: ComparisonSampler
    folder: ImageCache | None = None

    def __getstate__(self) -> dict[str, Any]:
        bare = replace(self.sampler, network=None, on_progress=None, parts=None)  # type: ignore[arg-type]
        return {"opener": self.opener, "sampler": bare, "folder": self.folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)

    @cached_property
    def own_sampler(self) -> ComparisonSampler:
        """The sampler on this process's network."""
        return replace(self.sampler, network=self.opener(), on_progress=None, parts=None)


def draw_plan_block(job: DrawingJob, part: PlanBlock) -> Images | None:
    """Draw one block and save it, whole or not at all, or return it where there is no folder: else a pure function."""
    sampler = job.own_sampler
    images = sampler.draw_block(part.plan, part.block.ids)
    if job.folder is None:
        return images
    job.folder.write(sampler.plans[part.plan].hash, part.block.first, images)
    return None


def make_job(sampler: ComparisonSampler, sharing: WorkSharing, folder: ImageCache | None) -> DrawingJob:
    """The job of these plans; a single worker draws with the network that is open already."""
    network = sampler.network
    opener = sharing.opener if sharing.workers > 1 and sharing.opener is not None else lambda: network
    return DrawingJob(opener=opener, sampler=sampler, folder=folder)


def draw_parts(sampler: ComparisonSampler, sharing: WorkSharing, parts: Sequence[PlanBlock]) -> Iterator[Images]:
    """The images of each part, in this order, drawn by all workers."""
    job = make_job(sampler, sharing, None)
    for images in for_each_block(job, draw_plan_block, parts, workers=sharing.workers):
        assert images is not None, "there is no folder that they went into"
        yield images


def draw_shared(sampler: ComparisonSampler, sharing: WorkSharing, folder: ImageCache, n: int) -> PlanImages:
    """Draw what is missing of this share, in id order; returns all images.

    Raises UnfinishedError if blocks of other shares are missing then, DtoolError for an altered or truncated block.
    """
    blocks = list_blocks(sampler, n)
    mine = [part for part in sharing.share.take(blocks) if not _is_there(folder, sampler, part)]
    job = make_job(sampler, sharing, folder)
    total, done = len(mine), 0

    def tell(part: PlanBlock) -> None:
        nonlocal done
        done += 1
        if sampler.on_progress is not None:
            sampler.on_progress(done, total, sampler.names[part.plan])

    for _ in for_each_block(job, draw_plan_block, mine, workers=sharing.workers, on_done=tell):
        pass
    missing = sum(not _is_there(folder, sampler, part) for part in blocks)
    if missing:
        assert sharing.folder is not None, "all shares leave their blocks in a folder"
        raise UnfinishedError(sharing.folder, missing, len(blocks))
    return PlanImages(lambda i: _read_plan(folder, sampler, i, n), len(sampler.plans))


def list_blocks(sampler: ComparisonSampler, n: int) -> list[PlanBlock]:
    """The blocks of all plans, in id order; they depend on the images' shape, their number and the batch size alone."""
    batch_size = sampler.options.get("batch_size")
    size = choose_block_size(sampler.network.shape, batch_size)
    size = size if batch_size is not None else min(PART, size)
    return [PlanBlock(i, block) for block in divide(n, size) for i in range(len(sampler.plans))]


class PlanImages(Sequence[Images]):
    """The images of each plan `(n, *shape)`, made when they are asked for; those of the last two plans are kept."""

    def __init__(self, make: Callable[[int], Images], count: int) -> None:
        self._make, self._count = lru_cache(maxsize=HELD_PLANS)(make), count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Images: ...
    @overload
    def __getitem__(self, index: slice) -> list[Images]: ...
    def __getitem__(self, index: int | slice) -> Images | list[Images]:
        places = range(self._count)[index]
        return self._make(places) if isinstance(places, int) else [self._make(i) for i in places]


def open_folder(
    sharing: WorkSharing, about: dict[str, Any], otherwise: ImageCache | None = None, what: str = "comparison"
) -> ImageCache:
    """The folder of the blocks, which says what it holds; raises DtoolError if that is something else.

    about: all that the images depend on. otherwise: the folder where none was named. what: they are blocks of.
    """
    if sharing.folder is None:
        if otherwise is None:
            raise UsageError("there is no folder for the blocks", "give WorkSharing a folder, or compare(keep=) one")
        otherwise.set_key(about)
        return otherwise
    folder = ImageCache(sharing.folder, about)
    folder.make()
    path, text = sharing.folder / ABOUT, json.dumps(about, indent=2, sort_keys=True)
    if not path.exists():
        _require_no_strangers(sharing.folder)
        write_atomically(path, lambda temporary: temporary.write_text(text + "\n", "utf-8"))
    _require_same(path, json.loads(text), what)
    return folder


def _require_no_strangers(folder: Path) -> None:
    """Raise DtoolError for a folder that holds anything, and does not say what."""
    others = [path.name for path in folder.iterdir() if not path.name.startswith(".") and path.name != ABOUT]
    if others:
        raise DtoolError(f"{folder} holds other files ({others[0]}), and no {ABOUT}", "name an empty or a new folder")


def _require_same(path: Path, about: dict[str, Any], kind: str) -> None:
    try:
        held = bounded_reading.read_json(path)
    except (OSError, ValueError) as error:
        raise DtoolError(f"{path} cannot be read", "put it back, or name another folder with --into") from error
    names = list(about) if isinstance(held, dict) else []
    unlike = [name for name in names if held.get(name) != about[name]]
    if not names or unlike or set(held) != set(about):
        what = unlike[0] if unlike else "settings"
        then, now = (_show(source.get(what) if isinstance(source, dict) else None) for source in (held, about))
        raise DtoolError(
            f"{path.parent} holds the blocks of another {kind}: {what} {then} there, {now} here",
            f"name another folder with --into, or give the model, recipes, seed and settings of that {kind}",
        )


def _show(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def _is_there(folder: ImageCache, sampler: ComparisonSampler, part: PlanBlock) -> bool:
    return folder.has(sampler.plans[part.plan].hash, part.block.first)


def _read_plan(folder: ImageCache, sampler: ComparisonSampler, i: int, n: int) -> Images:
    """All images of a plan; raises DtoolError for a block that is not as it was written."""
    images = np.empty((n, *sampler.network.shape), np.float32)
    for part in _blocks_of(sampler, i, n):
        images[part.block.first : part.block.last + 1] = folder.read_block(
            sampler.plans[i].hash, part.block.first, len(part.block)
        )
    return images


def _blocks_of(sampler: ComparisonSampler, i: int, n: int) -> Iterable[PlanBlock]:
    return (part for part in list_blocks(sampler, n) if part.plan == i)
