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
    nearer: Callable[[int, int], float],
) -> str:
    """By the law's headline metric if there are data, else by the solver's error, else that nothing can be said.

    nearer(i, j): p of the hypothesis that entries i and j are equally near to the solution of the ODE. The best is
    chosen after the fact, so that each test against it is one of all pairs: their levels are divided by the number of
    pairs (Bonferroni), and recipes of one law are told apart in at most 5 % of comparisons.
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
    level = _level(len(entries))
    p = {i: law.apart(images[best], images[i], labels, level) for i in rest}
    if any(value is None for value in p.values()):  # no paired test: intervals that overlap
        low, high = (getattr(entries[best].figures[about.name], end) for end in ("low", "high"))
        near = [
            i for i in rest if entries[i].figures[about.name].low <= high and entries[i].figures[about.name].high >= low
        ]
    else:
        near = [i for i in rest if (p[i] or 0.0) > level]
    if not near:
        return f"{_said(entries[best])} is best by {about.title}."
    least = min(entries[i].calls for i in [best, *near])
    cheapest = [entries[i] for i in sorted([best, *near]) if entries[i].calls == least]
    take = ""
    if len(cheapest) <= len(near):
        take = f"; the cheapest of them {'is' if len(cheapest) == 1 else 'are'} {_named(cheapest)}"
    if len(near) == len(rest):
        return f"By {about.title} no recipe can be told from another at n = {len(images[0])}{take}."
    alike = _named([entries[i] for i in sorted([best, *near])])
    return f"By {about.title} {alike} cannot be told apart at n = {len(images[0])}, and lead the others{take}."


def _by_solver(entries: Sequence[Entry], nearer: Callable[[int, int], float]) -> str:
    found = {i: entry.solver for i, entry in enumerate(entries) if entry.solver is not None}
    if not found:
        return "There is nothing to judge by: give real images with --data, or compare deterministic recipes."
    if not any(error.judged for error in found.values()):
        own = max(error.own for error in found.values())
        return (
            f"No recipe can be judged: all are too near to the solution of the ODE, which is itself off by {own:.2g}."
        )
    best, level = min(found, key=lambda i: found[i].rmse), _level(len(found))
    near = [i for i in found if i != best and (not found[i].judged or nearer(best, i) > level)]
    bound = "" if found[best].judged else "at most about "
    text = f"{_said(entries[best])} is nearest to the solution of the ODE (RMSE {bound}{found[best].rmse:.2g})"
    if near:
        text += f", and not surely nearer than {_named([entries[i] for i in near])}"
    left = len(entries) - len(found)
    return f"{text}; {left} of {len(entries)} have no solution to be near to." if left else f"{text}."


def _level(count: int) -> float:
    return SURE / (count * (count - 1) / 2 or 1)


def _named(entries: Sequence[Entry]) -> str:
    names = [_said(entry) for entry in entries]
    if len(names) > 4:
        return ", ".join(names[:3]) + f" and {len(names) - 3} others"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _said(entry: Entry) -> str:
    return f"{entry.name} with {entry.calls} calls"
