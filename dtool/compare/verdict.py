"""What a comparison comes to, in a line: which recipe is best, which cannot be told from it, and which is cheapest."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from dtool.compare.law import SURE, Law
from dtool.compare.result import About, Entry

Images = Sequence[NDArray[np.float32]]


def verdict(
    entries: Sequence[Entry],
    images: Images,
    law: Law | None,
    labels: NDArray[np.int64] | None,
    nearer: Callable[[int, int], bool],
) -> str:
    """By the law's headline metric if there are data, else by the solver's error, else that nothing can be said.

    nearer(i, j): whether entry i is surely nearer to the solution of the ODE than entry j.
    """
    if len(entries) == 1:
        return "One recipe alone: there is nothing to compare it with."
    about = None if law is None else next((a for a in law.abouts() if a.skipped is None), None)
    if law is not None and about is not None and all(about.name in e.figures for e in entries):
        return _by_law(entries, images, law, about, labels)
    return _by_solver(entries, nearer)


def _by_law(entries: Sequence[Entry], images: Images, law: Law, about: About, labels: NDArray[np.int64] | None) -> str:
    sign = 1 if about.better == "lower" else -1
    order = sorted(range(len(entries)), key=lambda i: sign * entries[i].figures[about.name].value)
    best, rest = order[0], order[1:]
    p = {i: law.apart(images[best], images[i], labels) for i in rest}
    if any(value is None for value in p.values()):  # no paired test: intervals that overlap
        low, high = (getattr(entries[best].figures[about.name], end) for end in ("low", "high"))
        near = [
            i for i in rest if entries[i].figures[about.name].low <= high and entries[i].figures[about.name].high >= low
        ]
    else:
        # Holm's correction: as many tests as there are recipes beside the best
        worse: list[int] = []
        for k, i in enumerate(sorted(rest, key=lambda i: p[i] or 0.0)):
            if (p[i] or 0.0) > SURE / (len(rest) - k):
                break
            worse.append(i)
        near = [i for i in rest if i not in worse]
    alike = [best, *near]
    cheapest = min(alike, key=lambda i: (entries[i].calls, entries[i].seconds))
    if len(alike) == len(entries):
        return (
            f"By {about.title} no recipe can be told from another at n = {len(images[0])}: take the cheapest, "
            f"{_said(entries[cheapest])}."
        )
    text = f"{_said(entries[best])} is best by {about.title}"
    if near:
        named = ", ".join(_said(entries[i]) for i in near[:3]) + (" and others" if len(near) > 3 else "")
        text += f"; {named} cannot be told from it"
    if cheapest != best:
        text += f"; {_said(entries[cheapest])} is the cheapest of those"
    return f"{text}."


def _by_solver(entries: Sequence[Entry], nearer: Callable[[int, int], bool]) -> str:
    found = {i: entry.solver for i, entry in enumerate(entries) if entry.solver is not None}
    if not found:
        return "There is nothing to judge by: give real images with --data, or compare deterministic recipes."
    best = min(found, key=lambda i: found[i].rmse)
    near = [i for i in found if i != best and not nearer(best, i)]
    bound = "" if found[best].judged else "at most about "
    text = f"{_said(entries[best])} is nearest to the solution of the ODE (RMSE {bound}{found[best].rmse:.2g})"
    if near:
        text += f", and not surely nearer than {', '.join(_said(entries[i]) for i in near[:3])}"
        text += " and others" if len(near) > 3 else ""
    left = len(entries) - len(found)
    return f"{text}; {left} of {len(entries)} have no solution to be near to." if left else f"{text}."


def _said(entry: Entry) -> str:
    return f"{entry.name} with {entry.calls} calls"
