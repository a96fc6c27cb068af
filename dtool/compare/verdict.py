"""The verdict of a comparison in a line: the best recipe, those that cannot be told from it, and the cheapest."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from dtool.compare.law_error import SIGNIFICANCE, Law
from dtool.compare.result import ComparisonEntry, MetricSummary, format_calls

ImageArrays = Sequence[NDArray[np.float32]]


def write_verdict(
    entries: Sequence[ComparisonEntry],
    images: ImageArrays,
    law: Law | None,
    labels: NDArray[np.int64] | None,
    nearer: Callable[[int, int], float],
) -> str:
    """By the law's headline metric if there are data, else by the solver error, else that there is nothing to judge by.

    nearer(i, j): p of the hypothesis that entries i and j are equally near to the solution of the ODE. The best is
    chosen after the fact, so each test against it counts as one of all pairs: the level is divided by the number of
    pairs (Bonferroni), so that recipes of one law are told apart in at most 5 % of comparisons.
    """
    if len(entries) == 1:
        return "One recipe alone: there is nothing to compare it with."
    about = None if law is None else next((a for a in law.describe_metrics() if a.skipped is None), None)
    if law is not None and about is not None and all(about.name in e.figures for e in entries):
        return _judge_by_law(entries, images, law, about, labels)
    return _judge_by_solver(entries, nearer)


def _judge_by_law(
    entries: Sequence[ComparisonEntry],
    images: ImageArrays,
    law: Law,
    about: MetricSummary,
    labels: NDArray[np.int64] | None,
) -> str:
    sign = 1 if about.better == "lower" else -1
    order = sorted(range(len(entries)), key=lambda i: sign * entries[i].figures[about.name].value)
    best, rest = order[0], order[1:]
    level = _bonferroni_level(len(entries))
    p = {i: law.p_value(images[best], images[i], labels, level) for i in rest}
    if any(value is None for value in p.values()):  # no paired test: intervals that overlap
        low, high = (getattr(entries[best].figures[about.name], end) for end in ("low", "high"))
        near = [
            i for i in rest if entries[i].figures[about.name].low <= high and entries[i].figures[about.name].high >= low
        ]
    else:
        near = [i for i in rest if (p[i] or 0.0) > level]
    if not near:
        return f"{_describe_entry(entries[best])} is best by {about.title}."
    least = min(entries[i].evaluations for i in [best, *near])
    cheapest = [entries[i] for i in sorted([best, *near]) if entries[i].evaluations == least]
    take = ""
    if len(cheapest) <= len(near):
        take = f"; the cheapest of them {'is' if len(cheapest) == 1 else 'are'} {_list_entries(cheapest)}"
    if len(near) == len(rest):
        return f"By {about.title} no recipe can be told from another at n = {len(images[0])}{take}."
    alike = _list_entries([entries[i] for i in sorted([best, *near])])
    return f"By {about.title} {alike} cannot be told apart at n = {len(images[0])}, and lead the others{take}."


def _judge_by_solver(entries: Sequence[ComparisonEntry], nearer: Callable[[int, int], float]) -> str:
    errors = {i: entry.solver for i, entry in enumerate(entries) if entry.solver is not None}
    if not errors:
        return "There is nothing to judge by: give real images with --data, or compare deterministic recipes."
    if not any(error.judged for error in errors.values()):
        own = max(error.own for error in errors.values())
        return (
            f"No recipe can be judged: all are too near to the solution of the ODE, which is itself off by {own:.2g}."
        )
    best, level = min(errors, key=lambda i: errors[i].rmse), _bonferroni_level(len(errors))
    near = [i for i in errors if i != best and (not errors[i].judged or nearer(best, i) > level)]
    guidances = {(entries[i].guidance, entries[i].scale) for i in errors}
    whose = "the solution of the ODE" if len(guidances) == 1 else "the solution of the ODE of its own guidance"
    bound = "" if errors[best].judged else "at most about "
    text = f"{_describe_entry(entries[best])} is nearest to {whose} (RMSE {bound}{errors[best].rmse:.2g})"
    if near:
        text += f", and not surely nearer than {_list_entries([entries[i] for i in near])}"
    left = len(entries) - len(errors)
    return f"{text}; {left} of {len(entries)} have no solution to be near to." if left else f"{text}."


def _bonferroni_level(count: int) -> float:
    return SIGNIFICANCE / (count * (count - 1) / 2 or 1)


def _list_entries(entries: Sequence[ComparisonEntry]) -> str:
    names = [_describe_entry(entry) for entry in entries]
    if len(names) > 4:
        return ", ".join(names[:3]) + f" and {len(names) - 3} others"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _describe_entry(entry: ComparisonEntry) -> str:
    return f"{entry.name} with {format_calls(entry.calls, entry.evaluations)}"
