"""The guidance of a run: the plan's own, what the caller asks for, or what the network is used with."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

import numpy as np
from numpy.typing import NDArray

from dtool.errors import UsageError, format_value
from dtool.guidances import get_guidance
from dtool.guidances.guidance import Guidance
from dtool.models.network import Network
from dtool.models.spec import NetworkSpec, resolve_schedule
from dtool.plan.compiled_plan import Plan
from dtool.plan.guiding import find_double_rows, guide, has_comparison, set_scale


def resolve_guidance(spec: NetworkSpec, plan: Plan, guidance: float | str | Guidance | None) -> tuple[Plan, float]:
    """The plan with its guidance in it, and the scale: a number is one for whatever guidance the plan has.

    By default the plan's own scale, or else the network's, which on a plan that names no guidance is within the
    interval that the network recommends, if it does. Raises UsageError for what is no guidance, or is said twice.
    """
    if guidance is None:
        if not plan.guidance and spec.guidance != 1 and spec.guidance_interval is not None and not plan.inverse:
            low, high = spec.guidance_interval
            plan = guide(plan, get_guidance("cfg", scale=spec.guidance, low=low, high=high))
        return plan, spec.guidance if plan.scale is None else plan.scale
    scale = parse_scale(guidance)
    if scale is None:
        chosen = get_guidance(guidance) if isinstance(guidance, str) else guidance
        if not isinstance(chosen, Guidance):
            raise UsageError(f"guidance={format_value(guidance)} is no guidance", "give a scale, or e.g. 3@-1.3:0.3")
        plan = guide(plan, chosen)
        scale = spec.guidance if chosen.scale is None else chosen.scale
    require_scale(scale)
    return plan, scale


def add_guidance(spec: NetworkSpec, plan: Plan, guidance: float | str | Guidance | None) -> Plan:
    """The plan with its guidance and scale written in it, so that `dtool.sample` needs to be told nothing of them.

    A plan that names its guidance keeps it, at the scale that is given if it names none; and one that nobody says
    anything of has what the network recommends. Raises UsageError for what is no guidance.
    """
    scale = parse_scale(guidance)
    if plan.guidance and (scale is None or plan.scale is not None):
        return plan
    if scale is None:
        return resolve_guidance(spec, plan, guidance)[0]
    require_scale(scale)
    return set_scale(plan, scale) if plan.guidance else guide(plan, get_guidance("cfg", scale=scale))


def get_scale(spec: NetworkSpec, plan: Plan) -> float:
    """The scale that a plan runs with where nothing else is said: its own, or else the network's."""
    return spec.guidance if plan.scale is None else plan.scale


def find_compared_rows(network: Network, plan: Plan) -> NDArray[np.bool_]:
    """The rows in which each image is evaluated with and without its conditions, or by a weaker network `(rows,)`."""
    scale = get_scale(network.spec, plan)
    doubled = network.spec.is_conditional or network.is_autoguided
    return find_double_rows(plan, scale) if doubled else np.zeros(plan.rows, np.bool_)


def uses_comparison(network: Network, plan: Plan) -> bool:
    """Whether anything in the plan depends on what the network says without the conditions."""
    told = network.spec.is_conditional and not network.is_autoguided
    return told and has_comparison(plan, get_scale(network.spec, plan))


def choose_told_scale(network: Network, plans: Iterable[Plan]) -> float:
    """The scale that says whether what guidance compares with is asked for: one of the plans', 1 if none compares."""
    scales = (get_scale(network.spec, plan) for plan in plans if uses_comparison(network, plan))
    return next((scale for scale in scales if scale != 1), 1.0)


def require_scale(scale: float) -> None:
    """Raise UsageError for a number that is no guidance scale."""
    if not 0 <= scale < inf:
        raise UsageError(f"guidance {scale:g} is no scale", "use 0 or more; 1 is none")


def parse_scale(guidance: float | str | Guidance | None) -> float | None:
    """The number that a guidance is, if it is nothing else."""
    try:
        return None if guidance is None or isinstance(guidance, Guidance) else float(guidance)
    except ValueError:
        return None


def require_comparable(network: Network, weak: Network | None) -> None:
    """Raise UsageError unless the weaker network says the same of the same samples."""
    if weak is None:
        return
    if network.plan is not None or weak.plan is not None:
        hint = "put both networks into one file: dtool export MODEL --weak WEAK --recipe …; or run their own files"
        raise UsageError("a sampler's file takes no second network", hint)
    require_alike(network.spec, weak.spec)
    if network.backend != weak.backend or network.device != weak.device:
        raise UsageError(
            f"the weaker network runs on {weak.backend} ({weak.device}), the other on {network.backend} "
            f"({network.device})",
            "open both in the same way",
        )


def require_use(network: Network, plan: Plan, scale: float) -> None:
    """Raise UsageError for a weaker network that no guidance compares with."""
    if network.weak is not None and not has_comparison(plan, scale):
        raise UsageError("a weaker network is named, and no guidance compares with it", "give a scale: --guidance 2")


def require_alike(own: NetworkSpec, other: NetworkSpec) -> None:
    """Raise UsageError unless the spec of a weaker network says the same as the other's of the same samples."""
    differs = [
        word
        for word, same in (
            ("shape", own.shape == other.shape),
            ("prediction", own.prediction == other.prediction),
            ("schedule", resolve_schedule(own).hash == resolve_schedule(other).hash),
            ("conditions", (own.classes, own.conditions) == (other.classes, other.conditions)),
            ("way of telling the time", own.time == other.time),
            ("learned variance", own.learned_variance == other.learned_variance),
        )
        if not same
    ]
    if differs:
        raise UsageError(
            f"the weaker network has another {' and another '.join(differs)}", "give one trained as the other was"
        )
