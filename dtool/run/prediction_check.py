"""Whether a network's answers look like what it is said to predict: tried out at both ends of its schedule.

What is measured is in `dtool.run.prediction_shares`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from dtool.models.conditions import LABEL, Conditions, make_trial_conditions
from dtool.models.network import Network
from dtool.models.time_convention import TIME_CONVENTIONS
from dtool.run.prediction_shares import MISSES, Assumption, Shares
from dtool.run.sampler_file import FusedNetwork
from dtool.samplers.rule import Prediction

FITS = 0.3  # how far the shares are from those of a prediction that they look like
CLEAR = 0.15  # a prediction, or a way of telling the time, that fits so well
WORDS: tuple[Prediction, ...] = ("eps", "v", "x0", "flow")


class PredictionWarning(UserWarning):
    """A network's answers do not look like what it is said to predict."""


def warn_of_prediction(network: Network) -> None:
    """Warn, once, if another library's network clearly answers as if it predicted something else than it is said to.

    That takes some dozen calls of a few small images. A network whose answers look like nothing that is known, an
    untrained one say, is let alone.
    """
    if network.is_builtin or network.has_known_prediction or network.one_size or isinstance(network, FusedNetwork):
        return
    network.has_known_prediction = True
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of times that are rounded, say: the run itself will tell
        try:
            message = find_contradiction(network)
        except Exception:  # whatever a network's own code raises: the run itself will tell
            return
    if message:
        warnings.warn(message, PredictionWarning, stacklevel=4)


def find_contradiction(network: Network) -> str:
    """What speaks against the prediction that a network is said to make, and what it looks like; "" if nothing does."""
    spec = network.spec
    said = Assumption(network=network, prediction=spec.prediction, time=spec.time, told=_make_conditions(network))
    measured, distance = said.measure()
    if distance <= MISSES:
        other_time = _find_better_time(said, measured) if distance > FITS else ""
        return other_time or _tell_flow_from_noise(said, measured)
    for other in _list_others(said):
        try:
            shares, far = other.measure(strict=True)
        except Exception:  # a network's own code may refuse times that it does not know
            continue
        if far <= FITS:
            return _describe(said, measured, other, shares)
    return ""


def _find_better_time(said: Assumption, measured: Shares) -> str:
    """A network that hears the noise in x passes whatever it is told as its time, with a little less likeness."""
    for other in _list_others(said):
        if other.prediction != said.prediction:
            continue
        try:
            shares, far = other.measure(strict=True)
        except Exception:  # a network's own code may refuse times that it does not know
            continue
        if far <= CLEAR:
            return _describe(said, measured, other, shares)
    return ""


def _tell_flow_from_noise(said: Assumption, measured: Shares) -> str:
    """A network of ε that is said to predict the flow may pass, with pale images: held against ε it sees more noise."""
    if said.prediction != "flow":
        return ""
    other = replace(said, prediction="eps")
    shares, far = other.measure(strict=True)
    return _describe(said, measured, other, shares) if far <= CLEAR and shares.noise > measured.noise + 0.2 else ""


def _describe(said: Assumption, measured: Shares, other: Assumption, shares: Shares) -> str:
    """The warning: what was found, what it looks like, and what to say."""
    name = "prediction" if other.prediction != said.prediction else "time"
    word, present = getattr(other, name), getattr(said, name)
    kind = said.prediction if name == "prediction" else f"{said.prediction} told its time as {present}"
    return (
        f"the network's answers do not look like {kind} ({measured}), but like {word} ({shares}): "
        f"if it is that, say --{name} {word} ({name}={word!r})"
    )


def _list_others(said: Assumption) -> Iterator[Assumption]:
    """What else it could be: the other predictions, then the same one with the time told otherwise."""
    for word in WORDS:
        if word != said.prediction:
            yield replace(said, prediction=word)
    for time in TIME_CONVENTIONS:
        if time != said.time and {time, said.time} != {"index", "index+1"}:  # which nothing tells apart
            yield replace(said, time=time)


def _make_conditions(network: Network) -> Conditions:
    """What the network is told, one entry: nothing where it knows that, or else anything."""
    told = make_trial_conditions(network.spec, 1, np.random.default_rng(0))
    for one in network.spec.conditions:
        if one.null is not None:
            told[one.name] = one.fill(1)
    if network.text is not None:
        told |= network.text.encode([""])
    if network.classes:
        told[LABEL] = np.zeros(1, dtype=np.int64)
    return told
