"""--ray, whose address may be left out: it is put in before the words of a command line are read."""

from __future__ import annotations

import re
from collections.abc import Sequence

RAY, ANY_CLUSTER = "--ray", "auto"
_ADDRESS = r"auto|local|ray://\S+|[\w.\-]+:\d+|\[[0-9a-fA-F:]+\]:\d+"


def complete_ray(words: Sequence[str]) -> list[str]:
    """The words of a command line, with the address of any cluster behind a --ray that has none."""
    completed: list[str] = []
    for place, word in enumerate(words):
        following = words[place + 1] if place + 1 < len(words) else ""
        if word == "--":
            return [*completed, *words[place:]]
        completed += [word, ANY_CLUSTER] if word == RAY and not re.fullmatch(_ADDRESS, following) else [word]
    return completed
