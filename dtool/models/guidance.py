"""Guidance: networks that wrap a network, one for each row of a plan, so that no sampler has heard of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dtool.models.conditions import ConditionPair, Conditions
from dtool.models.network import Network
from dtool.plan.compiled_plan import Plan
from dtool.plan.guiding import compute_weights, find_double_rows

Call = Callable[[Any, Any], Any]


def make_guided_calls(
    network: Network,
    plan: Plan,
    conditions: ConditionPair | None,
    scale: float,
    like: Any,
    *,
    weak: Network | None = None,
) -> list[Call]:
    """F(x, t) of every row of the plan, as `dtool.run.loop.run` takes them: guided as the plan says, at this scale.

    F = F_without + w·(F_given - F_without) (arXiv:2207.12598, eq. 6, w+1), w the row's (`dtool.plan.guiding`). A row of
    w = 1 evaluates the network as the conditions are given, of w = 0 without them, once; any other both ways, in one
    call of twice the batch, or in two of a network that mixes the images of a batch, or where the two differ in shape.
    In a row that compares, the call returns (F, F_without), or (F, None) where the two are the same.
    like: an array like every x. conditions: None for a network that is not conditional. weak: another network, whose
    output takes the place of F_without (autoguidance, arXiv:2406.02507). Of a network with a learned variance, the half
    that is the variance is that of the conditions as given.
    """
    unguided = (conditions is None or conditions.without is None) and weak is None
    weights = np.ones(plan.rows) if unguided else compute_weights(plan, scale)
    doubled = np.zeros(plan.rows, bool) if unguided else find_double_rows(plan, scale)
    made: dict[tuple[float, bool, bool], Call] = {}
    pair = _Pair(network, conditions, like, weak)
    calls = []
    for weight, twice, compares in zip(weights.tolist(), doubled.tolist(), plan.compares.tolist(), strict=True):
        key = (weight, twice, compares)
        if key not in made:
            made[key] = pair.guide(weight, plan.rescale, compares) if twice else pair.choose(weight, compares)
        calls.append(made[key])
    return calls


class _Pair:
    """The network as the conditions are given and without them, each bound to arrays like `like` when first needed."""

    def __init__(self, network: Network, conditions: ConditionPair | None, like: Any, weak: Network | None) -> None:
        self.network, self.conditions, self.like, self.weak = network, conditions, like, weak
        self._single: dict[bool, Call] = {}
        self._both: Call | None = None

    def choose(self, weight: float, compares: bool) -> Call:
        """One evaluation: as given at a weight of 1, without at 0."""
        call = self._bind(weight != 0)
        return (lambda x, t: (call(x, t), None)) if compares else call

    def guide(self, weight: float, rescale: float, compares: bool) -> Call:
        """Both evaluations, and what is made of them."""
        if self._both is None:
            self._both = self._bind_both()
        both, count = self._both, len(self.like)
        channels = self.network.shape[0] if self.network.spec.learned_variance else None

        def guided(x: Any, t: Any) -> Any:
            output = both(x, t)
            without, given = output[:count], output[count:]
            if channels is None:
                return _mix(without, given, weight, rescale, without if compares else None)
            mean = _mix(without[:, :channels], given[:, :channels], weight, rescale, None)
            given[:, :channels] = mean
            return (given, without) if compares else given

        return guided

    def _bind(self, given: bool) -> Call:
        if given not in self._single:
            network = self.network if given or self.weak is None else self.weak
            told: Conditions | None = None
            if self.conditions is not None:
                told = self.conditions.given
                if not given and self.weak is None and self.conditions.without is not None:
                    told = self.conditions.without
            self._single[given] = network.bind(self.like, told and network.arrays(told))
        return self._single[given]

    def _bind_both(self) -> Call:
        """F of twice the batch: first without, then as given."""
        network, conditions = self.network, self.conditions
        if self.weak is not None or network.mixes or conditions is None or conditions.without is None:
            return self._bind_two_calls()
        if not _are_alike(conditions.given, conditions.without):
            return self._bind_two_calls()
        like = network.concatenate([self.like, self.like])
        both = network.bind(like, _join(network, conditions.without, conditions.given))
        return lambda x, t: both(network.concatenate([x, x]), network.concatenate([t, t]))

    def _bind_two_calls(self) -> Call:
        """The same in two calls, so that no image meets itself without its conditions."""
        network, conditions = self.network, self.conditions
        other = self.weak or network
        told = None if conditions is None else network.arrays(conditions.given)
        without = told
        if conditions is not None and self.weak is None and conditions.without is not None:
            without = network.arrays(conditions.without)

        def both(x: Any, t: Any) -> Any:
            first = other.predict(x, t, without)
            return network.concatenate([first, network.predict(x, t, told)])

        return both


def _mix(without: Any, given: Any, weight: float, rescale: float, compared: Any) -> Any:
    """The guided output, beside the one without conditions if that is asked for."""
    output = without + weight * (given - without)
    if rescale:
        output = output * (rescale * (_deviate(given) / _deviate(output)) + (1 - rescale))
    return output if compared is None else (output, compared)


def _deviate(values: Any) -> Any:
    """The standard deviation of each image's numbers, `(B, 1, …)`."""
    return values.reshape(len(values), -1).std(1).reshape(-1, *[1] * (values.ndim - 1))


def _are_alike(given: Conditions, without: Conditions) -> bool:
    """Whether both can be told in one batch: texts may differ in length."""
    return all(without[name].shape == values.shape for name, values in given.items())


def _join(network: Network, without: Conditions, given: Conditions) -> dict[str, Any]:
    """Both, one after the other along the batch."""
    parts = {name: [network.array(each[name]) for each in (without, given)] for name in given}
    return {name: network.concatenate(both) for name, both in parts.items()}
