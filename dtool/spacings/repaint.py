"""RePaint's resampling: go a few steps back and through them again, so that parts of an image come to agree."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dtool.schedulers.schedule import Schedule
from dtool.spacings.spacing import SpacingName, resolve_spacing, spacing


@spacing("repaint", cite="arXiv:2201.09865, section 4.2 and appendix B", rises=True)
def repaint(
    schedule: Schedule,
    n: int,
    *,
    jump_length: Annotated[int, Field(ge=1, description="how many steps it goes back")] = 10,
    jump_n: Annotated[int, Field(ge=1, description="how often each stretch is gone through in all")] = 10,
    base: Annotated[SpacingName, Field(description="the spacing of the steps that are repeated")] = "trailing",
) -> list[float]:
    """At every 10th level noise is added to get 10 levels back, and the steps are done again, ten times in all.

    n counts every step. The base has as many levels as come to n with their repetitions; where none comes to n exactly,
    the noisiest stretch is repeated less often, and its last repetition is shorter.
    """
    levels, jumps = _layout(n, jump_length, jump_n - 1)
    times = resolve_spacing(base)(schedule, levels)[::-1]  # the cleanest first: jumps are counted from there
    path: list[float] = []
    for place in reversed(range(levels)):
        path.append(float(times[place]))
        for length in jumps.get(place, ()):
            path += [float(times[i]) for i in range(place + length, place - 1, -1)]
    return path


def _layout(n: int, length: int, repeats: int) -> tuple[int, dict[int, list[int]]]:
    """How many levels the base has, and from which of them (0 the cleanest) it goes back, by how many, one by one.

    As in the paper's code, it goes back from levels 0, length, 2·length, … as long as the level to go back to exists.
    """

    def stretches(levels: int) -> int:
        return (levels - 1) // length

    def total(levels: int) -> int:
        return levels + repeats * length * stretches(levels)

    levels = max(k for k in range(1, n + 1) if total(k) <= n)
    jumps = {k * length: [length] * repeats for k in range(stretches(levels))}
    if left := n - total(levels):  # one level more would begin a stretch with more repetitions than are left
        whole, rest = divmod(left - 1, length)
        jumps[levels - length] = [length] * whole + [rest] * (rest > 0)
        levels += 1
    return levels, jumps
