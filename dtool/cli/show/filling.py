"""A folder that is filled with blocks: who draws what, how far it is, and what was done."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dtool.cli.show.output import remark, say, say_json
from dtool.cli.show.progress import show_progress

if TYPE_CHECKING:
    from dtool.cli.flags.parts import PartsWords
    from dtool.parts.filling import Filling, Tally
    from dtool.parts.job import Job
    from dtool.parts.share import Share


def fill(job: Job, words: PartsWords, share: Share, *, as_json: bool, quiet: bool) -> None:
    """Fill the folder with this process's share of the job's blocks, and say what was done.

    Raises UsageError for a folder of other images, DtoolError for damaged blocks, after all others are drawn.
    """
    from dtool.parts.filling import Filling, fill_folder
    from dtool.parts.manifest import Manifest, claim_folder

    assert words.into is not None
    own = Manifest.of(job, words.kind)
    manifest = claim_folder(words.into, own)
    if manifest.versions != own.versions:
        warn_of_versions(manifest.versions, own.versions)
    filling = Filling(job=job, folder=words.into, manifest=manifest, redraw=words.redraw)
    blocks = share.take(job.blocks)
    if share.said:
        remark(f"part {share} of the blocks, by {share.said}", quiet)
    started = time.perf_counter()
    total = sum(len(block) for block in blocks)
    with show_progress(f"{total} images", quiet) as show:
        on_done = make_counter(show, total)
        if words.ray is not None:
            from dtool.parts.ray_tasks import fill_by_ray

            tally = fill_by_ray(filling, blocks, words.ray, on_done)
        else:
            tally = fill_folder(filling, blocks, workers=words.workers, on_done=on_done)
    _report(filling, tally, share, time.perf_counter() - started, as_json=as_json, quiet=quiet)
    tally.require_sound(words.into)


def warn_of_versions(before: dict[str, str], now: dict[str, str]) -> None:
    """Warn that the folder was begun with other versions, whose last bits may be others."""
    changed = [
        f"{name} {before.get(name, 'none')} → {now.get(name, 'none')}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
    warnings.warn(
        f"the folder was begun with other versions ({', '.join(changed)}): last bits may differ", stacklevel=2
    )


def make_counter(show: Callable[[int, int], None] | None, total: int) -> Callable[[int], None] | None:
    """What is told of every few images that are done, and moves the bar; None where there is none."""
    if show is None:
        return None
    done = 0

    def count(images: int) -> None:
        nonlocal done
        done += images
        show(done, total)

    show(0, total)
    return count


def _report(filling: Filling, tally: Tally, share: Share, seconds: float, *, as_json: bool, quiet: bool) -> None:
    from dtool.parts.filling import State

    counts = {state.value: tally.images[state] for state in State}
    said = {"drawn": "drawn", "there": "there already", "elsewhere": "drawn by another run", "damaged": "damaged"}
    parts = [f"{count} {said[name]}" for name, count in counts.items() if count or name == "drawn"]
    remark(f"{sum(counts.values())} images: {', '.join(parts)}; {seconds:.2f} s", quiet)
    if tally.blocks[State.ELSEWHERE]:
        remark(f"when the other run has ended, see: dtool verify {filling.folder}", quiet)
    if as_json:
        about: dict[str, Any] = {"folder": str(filling.folder), "part": str(share), "images": counts}
        manifest = filling.manifest
        say_json(
            about | {"recipe": manifest.recipe, "plan": manifest.plan, "model": manifest.model, "seconds": seconds}
        )
    else:
        say(filling.folder)
