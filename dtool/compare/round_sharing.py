"""Rounds of images by several processes or machines, each of which needs all of a round before the next.

Each draws its own share of a round's blocks into a folder, and then whatever nobody else is drawing; so one that comes
late, or not at all, is not waited for, and every one of them ends with the same images.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dtool.compare.drawing import ComparisonSampler
from dtool.compare.kept_images import ImageCache
from dtool.compare.work_sharing import DrawingJob, Images, PlanBlock, WorkSharing, make_job
from dtool.parts.workers import keep_workers
from dtool.util.locks import InUseError, hold_lock

WAIT = 0.2  # seconds between two looks at blocks that others are drawing


@dataclass(frozen=True, kw_only=True)
class RoundFolder:
    """Where the blocks of all rounds are, and who of several processes this is."""

    sharing: WorkSharing
    folder: ImageCache

    def draw(self, sampler: ComparisonSampler, parts: Sequence[PlanBlock]) -> Iterator[Images]:
        """The images of each part, in this order, drawn by whoever came to it first."""
        own = list(self.sharing.share.take(parts))
        left = [*own, *(part for part in parts if part not in own)]
        job = make_job(sampler, self.sharing, self.folder)
        with keep_workers(job, find_or_draw, workers=self.sharing.workers) as each:
            while left:
                left = [part for part, is_there in zip(left, each(left), strict=True) if not is_there]
                if left:
                    time.sleep(WAIT)
        for part in parts:
            yield self.folder.read_block(sampler.plans[part.plan].hash, part.block.first, len(part.block))


def find_or_draw(job: DrawingJob, part: PlanBlock) -> bool:
    """See to it that a block is in the folder; False if another process is drawing it."""
    folder, sampler = job.folder, job.own_sampler
    assert folder is not None, "rounds are shared through one"
    plan, first = sampler.plans[part.plan].hash, part.block.first
    if folder.has(plan, first):
        return True
    path = folder.get_path(plan, first)
    try:
        with hold_lock(path, f"{path} is being drawn"):
            if not folder.has(plan, first):
                folder.write(plan, first, sampler.draw_block(part.plan, part.block.ids))
    except InUseError:
        return False
    return True
