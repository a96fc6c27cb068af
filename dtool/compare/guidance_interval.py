"""Finding the noise levels at which guidance is worth its cost: as sure of the class, and nearer to the law of data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Unpack

from dtool.compare.guidance_trials import GuidanceSearch, GuidanceTrial
from dtool.compare.law_error import Law
from dtool.models.network import Network
from dtool.run.guided_conditions import ToldOptions

TRIED, CONFIRMED = 64, 128  # images that intervals are chosen on, and others that the chosen one is confirmed on
KEPT = 0.75  # of what plain guidance adds to the agreement of the unguided network


@dataclass(frozen=True, kw_only=True)
class GuidanceInterval:
    """What was found: `interval` (low, high) in λ = log(α/σ), None if none holds, with the evidence.

    `plain`, `none`: everywhere and nowhere, on the images that the interval was chosen on, as are `trials`.
    `confirmed`: the chosen one on others. `holds`: whether there, too, its law error is surely below plain guidance's
    and its agreement not surely below. `remark`: what could not be told.
    """

    recipe: str
    steps: int
    calls: int
    scale: float
    metric: str
    interval: tuple[float, float] | None
    plain: GuidanceTrial
    none: GuidanceTrial
    trials: tuple[GuidanceTrial, ...]
    confirmed: GuidanceTrial | None
    holds: bool
    remark: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)


def find_guidance_interval(
    network: Network,
    law: Law | None,
    *,
    recipe: str = "ddim",
    calls: int = 20,
    scale: float | None = None,
    seed: int = 0,
    labels: int | Sequence[int] | None = None,
    clip: bool | None = None,
    images: tuple[int, int] = (TRIED, CONFIRMED),
    progress: Callable[[int, int, str], None] | None = None,
    **told_options: Unpack[ToldOptions],
) -> GuidanceInterval:
    """The interval of noise levels in which guidance of this scale costs least and does most of what it is for.

    Intervals of a fifth and of two fifths of the levels are tried. One is chosen by the fewest evaluations of those
    whose law error is surely below plain guidance's and that keep three quarters of what guidance adds to the agreement
    of a classifier; without a classifier, that whose images are nearest to plain guidance's. It is confirmed on other
    images. law: real images, with a classifier if there is one (`dtool.compare.law_error.make_law`). scale: default the
    network's. images: how many it is chosen on, and confirmed on. The others as for `dtool.recommend`.
    Raises UsageError for a law without images, and for a scale that is none.

    >>> target = dtool.targets.target("digits-gmm")
    >>> law = dtool.compare.law_error.make_law(target, 16, ["mmd"], 0, "", None)
    >>> network = target.network()
    >>> found = dtool.compare.find_guidance_interval(network, law, calls=5, scale=3, images=(16, 16))
    >>> found.plain.evaluations, found.none.evaluations, found.plain.agreement
    (10, 5, None)
    """
    search = GuidanceSearch(
        network=network, given_law=law, recipe=recipe, calls=calls, given_scale=scale, seed=seed, labels=labels,
        clip=clip, told_options=told_options, progress=progress,
    )  # fmt: skip
    ids = range(images[0])
    search.expect(ids, range(images[0], sum(images)))
    plain_images = search.draw(search.everywhere, ids)
    plain = search.judge(search.everywhere, plain_images, plain_images, ids)
    none = search.try_out(search.nowhere, plain_images, ids)
    trials = {interval: search.try_out(search.within(interval), plain_images, ids) for interval in search.intervals}
    chosen = _choose(trials, plain, none)
    confirmed = None if chosen is None else search.confirm(chosen, range(images[0], sum(images)))
    return GuidanceInterval(
        recipe=search.base.recipe, steps=search.base.steps, calls=search.base.rows, scale=search.scale,
        metric=search.metric, interval=chosen, plain=plain, none=none, trials=tuple(trials.values()),
        confirmed=confirmed, holds=confirmed is not None and _holds(confirmed), remark=_remark(plain, none),
    )  # fmt: skip


def _holds(trial: GuidanceTrial) -> bool:
    """Whether the law error is surely below plain guidance's, and the agreement, if it is known, not surely."""
    return trial.law_change[1] < 0 and (trial.agreement_change is None or trial.agreement_change[1] >= 0)


def _choose(
    trials: dict[tuple[float, float], GuidanceTrial], plain: GuidanceTrial, none: GuidanceTrial
) -> tuple[float, float] | None:
    held = {interval: trial for interval, trial in trials.items() if _holds(trial)}
    if plain.agreement is None or none.agreement is None:
        return min(held, key=lambda interval: held[interval].distance, default=None)
    least = plain.agreement - (1 - KEPT) * max(0.0, plain.agreement - none.agreement)
    sure = {interval: trial for interval, trial in held.items() if (trial.agreement or 0.0) >= least}
    return min(sure, key=lambda interval: (sure[interval].evaluations, sure[interval].law), default=None)


def _remark(plain: GuidanceTrial, none: GuidanceTrial) -> str:
    if none.agreement_change is None:
        return (
            "without a classifier it is not known whether the samples are still of their classes: no guidance at all "
            "would do as well by the law alone (give --classifier)"
        )
    if none.agreement_change[1] >= 0:
        return f"by these {plain.images} images no guidance at all is not surely less agreed with either"
    return ""
