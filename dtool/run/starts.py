"""Where the images of a run start: how many starts there are, and that they are said once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dtool.errors import UsageError
from dtool.models.network import Network
from dtool.run.editing import GivenImage
from dtool.run.interpolation import Interpolation


def count_images(
    path: Interpolation | None, n: int | None, ids: Sequence[int] | None, x: Any, others: int | None
) -> int:
    """How many images; others: as many as there are prompts, or images that the run begins at."""
    if path is not None:
        if ids is not None or n not in (None, path.count):
            raise UsageError(f"the path between two images has {path.count}, and more is said", "leave out n and ids")
        return path.count
    counts = [len(v) for v in (ids, x) if v is not None]
    if len(counts) == 2:
        raise UsageError("ids name generated starts, and x is your own", "give one of them")
    wanted = n if n is not None else None if counts else others
    count = counts[0] if counts else (16 if wanted is None else wanted)
    if n is not None and n != count:
        raise UsageError(f"n={n}, but {count} starts are given", "leave out n")
    if count < 1:
        raise UsageError(f"n={n} images cannot be sampled", "ask for 1 or more")
    return count


def refuse_other_starts(given: GivenImage, path: Interpolation | None) -> None:
    """Raise UsageError for an image, or a path between two of a seed, beside a start of the caller's own."""
    for name, value in (*vars(given).items(), ("interpolate", path)):
        if value is not None:
            raise UsageError(f"{name} is of a generated start, and x is your own", "give one of them")


def refuse_path(network: Network, path: Interpolation | None) -> None:
    """Raise UsageError for a path between two images of a sampler's file, which makes its own noise."""
    if path is not None and network.plan is not None:
        raise UsageError("a sampler's file makes its own noise, and has no path between two images", "open the network")
