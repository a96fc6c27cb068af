"""Cascades (arXiv:2106.15282): a network that draws small pictures, and others that are each fed the last one's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dtool.errors import UsageError
from dtool.models.conditions import Condition
from dtool.models.network import Network
from dtool.plan import Plan
from dtool.run.condition_noise import require_level
from dtool.run.sampling import Samples, sample


def split_cascade(model: str | None) -> list[str]:
    """`base.pt+x2.pt` → its parts; one name alone where there is no `+`, or where it is part of a file's name."""
    if model is None or "+" not in model or Path(model).exists():
        return [] if model is None else [model]
    parts = model.split("+")
    if not any(Path(part).suffix or Path(part).exists() for part in parts if part):  # a recipe's name, say
        return [model]
    if not all(parts):
        raise UsageError(f"{model}: a part of the cascade has no name", "write base.pt+x2.pt")
    return parts


def find_picture_condition(network: Network) -> Condition | None:
    """The one condition that must be given and is a picture `(C, H, W)`; None if it is not one alone that must be."""
    needed = [one for one in network.spec.conditions if one.null is None and not one.built_in]
    return needed[0] if len(needed) == 1 and len(needed[0].shape) == 3 else None


def require_cascade(names: Sequence[str], networks: Sequence[Network]) -> None:
    """Raise UsageError unless each of the networks after the first can be fed the pictures of the one before it."""
    if (first := find_picture_condition(networks[0])) is not None:
        raise UsageError(
            f"{names[0]} needs a picture itself, {first.describe()}", "begin a cascade with a network that needs none"
        )
    for i in range(1, len(networks)):
        before, network, name = networks[i - 1], networks[i], names[i]
        if network.codec is not None or before.codec is not None:
            raise UsageError(f"{names[i - 1]}+{name}: one of them draws latents", "give networks of pixels")
        condition = find_picture_condition(network)
        if condition is None:
            raise UsageError(
                f"{name} is no upscaler: it does not take one picture", "train one: dtool train DATA --task upscale:2"
            )
        if not condition.fits(before.spec.shape):
            raise UsageError(
                f"{name} takes {condition.describe()}, and {names[i - 1]} draws {before.spec.shape}",
                f"put a network of {condition.shape} before it",
            )


def continue_cascade(
    samples: Samples,
    networks: Sequence[Network],
    plans: Sequence[Plan],
    *,
    seed: int,
    levels: Sequence[float] | None = None,
    progress: Callable[[int, int], None] | None = None,
    **how: Any,
) -> Samples:
    """The first network's samples, drawn on by all others in turn: `networks` has the first one, too.

    plans: one for each of the others. seed: the noise of each of them follows from it and from its place, and is none
    that another has. levels: the noise on the pictures that each of the others is fed, as `parse_levels` checks them;
    none unless given. how: further options of `dtool.sample`. Calls, evaluations and seconds of the result are sums.
    """
    for place, (before, network, plan) in enumerate(zip(networks, networks[1:], plans, strict=False), start=1):
        condition = find_picture_condition(network)
        assert condition is not None, "checked by require_cascade"
        told = {condition.name: scale_pictures(samples.x0, before.spec.data_range)}
        if levels is not None and condition.noised_by is not None:
            told[condition.noised_by] = levels[place - 1]
        labels = samples.labels if network.classes and network.classes == before.classes else None
        ids = None if samples.ids is None else samples.ids.tolist()
        part = sample(
            network, plan, n=len(samples.x0), ids=ids, seed=derive_seed(seed, place), labels=_listed(labels),
            conditions=told, progress=progress, **how,
        )  # fmt: skip
        samples = replace(
            part,
            labels=samples.labels,
            calls=samples.calls + part.calls,
            evaluations=samples.evaluations + part.evaluations,
            seconds=samples.seconds + part.seconds,
        )
    return samples


def parse_levels(text: str, names: Sequence[str], networks: Sequence[Network]) -> list[float]:
    """`0.1`, for all networks after the first of a cascade, or `0.2,0.1`, one each: the noise on what they are fed.

    Raises UsageError for levels outside 0 … 0.99, another number of them, and noise for a network that was not told of
    any while it was trained.
    """
    try:
        levels = [float(word) for word in text.split(",")]
    except ValueError as error:
        raise UsageError(f"--augment {text}: not levels of noise", "write 0.1, or 0.2,0.1: one for each") from error
    if len(networks) < 2:
        raise UsageError("--augment is of a cascade", "of one network, say --condition level=0.1")
    levels *= len(networks) - 1 if len(levels) == 1 else 1
    if len(levels) != len(networks) - 1:
        raise UsageError(
            f"--augment {text}: {len(levels)} levels, and {len(networks) - 1} networks are fed pictures",
            "give one for all, or one each",
        )
    for level, name, network in zip(levels, names[1:], networks[1:], strict=True):
        require_level("--augment", level)
        condition = find_picture_condition(network)
        if level and (condition is None or condition.noised_by is None):
            raise UsageError(
                f"--augment {level:g}: {name} says of no noise on its pictures",
                "give 0 for it, or train it so: dtool train DATA --task upscale:2 --augment 0.3",
            )
    return levels


def _listed(labels: Any) -> Any:
    return None if labels is None else labels.tolist()


def scale_pictures(x0: Any, data_range: tuple[float, float]) -> Any:
    """Pictures in a network's range as a condition takes them, in -1 … 1, cut off beyond that."""
    low, high = data_range
    return np.clip((np.asarray(x0, np.float32) - low) / (high - low) * 2 - 1, -1, 1)


def derive_seed(seed: int, place: int) -> int:
    """The seed of the network in this place of a cascade: another for each, the same on every machine."""
    return int(np.random.SeedSequence((seed % (1 << 64), place)).generate_state(1, np.uint64)[0] >> np.uint64(1))
