"""Where a network came from: what its file is, what its makers sample it with, and what had to be assumed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a reader found out about a network.

    reader: the reader's name. what: what the file or folder is, in a line.
    recipe: what its makers sample it with, as a recipe of dtool's, with so many `steps`, where they say so.
    differences: in what that recipe is not exactly theirs. assumptions: what no file says. A sentence each.
    """

    reader: str
    what: str
    recipe: str | None = None
    steps: int | None = None
    differences: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
