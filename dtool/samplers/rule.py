"""What a reverse-step rule is: one interval of a sampler, written as its paper's equation."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, get_args

from pydantic import BaseModel

from dtool.errors import UsageError
from dtool.plugins.isolation import Origin, guard_code
from dtool.samplers.claims import Breaks, Same, validate_breaks, validate_same
from dtool.util.options import build_options_model, check_options, format_token

Basis = Literal["x0", "eps"]
BasicPrediction = Literal["eps", "x0", "v", "flow"]
Prediction = str  # a basic one, or edm:sigma_data=0.5; see `dtool.plan.parametrization`


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A registered sampler with its options bound: a pure function `(now, to[, z], *, options)` of one interval.

    `now` is the node at which the network has been called: `now.x`, `now.x0`, `now.eps`, the level `now.alpha`,
    `now.sigma`, `now.lam`, and `now.before`, the node of the interval before (None after the start or a jump).
    `to` is the point to go to. `z` is fresh standard Gaussian noise; only a stochastic rule asks for it. The function
    returns x at `to`; a further network call inside the interval is `mid = yield guess, point`.

    `order`: global order of convergence (weak order if stochastic), with `startup_order` that of its first steps;
    where both depend on options, `orders(**options)` gives them. `calls`: network calls per interval, a function of
    the options if it depends on them, and `startup_calls` those of the first interval, or of the first `startup_steps`,
    if they are more. `basis`: which prediction of earlier nodes the rule uses. `family`: where listings show it.
    `same`: recipes that are the same method, each under its condition. `breaks`: why the rule leaves the forward
    process's marginals on purpose, and with which options; the first reason whose condition holds is the one given.
    `inverse`: the rule leads from an image to noise, so it walks a grid backwards and starts from the user's own x.
    `corrects`: x is corrected one call later, with what the rule keeps on its nodes, so that one interval alone is of
    one order less than those of a rule that does not; a function of the options if it depends on them. Such a rule is
    also given a last step of no length, whose call only corrects. `tells_next`: with which options the network is told
    the time of the level that x goes to, in the place of its own.
    """

    name: str
    step: Callable[..., Any]
    order: int
    startup_order: int
    calls: int
    basis: Basis
    cite: str
    stochastic: bool
    model: type[BaseModel] = field(repr=False)
    family: str = ""
    same: tuple[Same, ...] = ()
    breaks: tuple[Breaks, ...] = ()
    orders: Callable[..., tuple[int, int]] | None = field(default=None, repr=False)
    inverse: bool = False
    startup_calls: int = 0
    startup_steps: int = 1
    calls_of: Callable[..., int] | None = field(default=None, repr=False)
    options: tuple[tuple[str, Any], ...] = ()
    corrects: bool | Callable[..., bool] = field(default=False, repr=False)
    tells_next: Callable[..., bool] | None = field(default=None, repr=False)
    origin: Origin | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        chosen = dict(self.options)
        object.__setattr__(self, "_bound", partial(self.step, **chosen))
        if not set(self.model.model_fields) <= set(chosen):
            return  # what depends on an option that has no value yet is not known
        with guard_code(self.origin, "cannot say its order or its calls"):
            if self.orders is not None:
                order, startup_order = self.orders(**chosen)
                object.__setattr__(self, "order", order)
                object.__setattr__(self, "startup_order", startup_order)
            if self.calls_of is not None:
                object.__setattr__(self, "calls", self.calls_of(**chosen))
        _require_counts(self)

    @property
    def has_corrector(self) -> bool:
        """Whether x is corrected one call later, with these options."""
        return bool(self.corrects(**dict(self.options)) if callable(self.corrects) else self.corrects)

    @property
    def tells_next_time(self) -> bool:
        """Whether the network is told, with these options, the time of the level that x goes to."""
        return self.tells_next is not None and bool(self.tells_next(**dict(self.options)))

    @property
    def doc(self) -> str:
        """The docstring of the function."""
        return inspect.cleandoc(self.step.__doc__ or "")

    @property
    def token(self) -> str:
        """The rule as it is written in a recipe, e.g. ddim:eta=0.5."""
        return format_token(self.name, self.model, dict(self.options))

    @property
    def marginals_caveat(self) -> str | None:
        """Why this rule, with these options, does not keep the marginals; None if it does."""
        chosen = dict(self.options)
        return next((claim.why for claim in self.breaks if claim.holds(chosen)), None)

    def bind(self, **options: Any) -> Rule:
        """The same rule with these options; raises UsageError for what it does not have."""
        values = check_options(self.name, self.model, options)
        return replace(self, options=tuple(values.items()))

    def __call__(self, now: Any, to: Any, z: Any = None) -> Any:
        """One interval, with symbols or with arrays: x at `to`, or a generator that asks for network calls."""
        bound: Callable[..., Any] = self._bound  # type: ignore[attr-defined]
        return bound(now, to, z) if self.stochastic else bound(now, to)


def _require_counts(rule: Rule) -> None:
    """Raise UsageError for an order or a number of calls that is not a whole number, or too small."""
    counts = {"order": (rule.order, 0), "startup_order": (rule.startup_order, 0), "calls": (rule.calls, 1),
              "startup_calls": (rule.startup_calls, 0), "startup_steps": (rule.startup_steps, 1)}  # fmt: skip
    for name, (value, least) in counts.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise UsageError(f"sampler {rule.name}: {name} is {value!r:.40}", f"give a whole number from {least}")


def sampler(
    name: str,
    *,
    order: int,
    startup_order: int | None = None,
    calls: int | Callable[..., int] = 1,
    startup_calls: int = 0,
    startup_steps: int = 1,
    basis: Basis = "x0",
    cite: str = "",
    family: str = "",
    same: Same | Iterable[Same] = (),
    orders: Callable[..., tuple[int, int]] | None = None,
    breaks: Breaks | Iterable[Breaks] = (),
    inverse: bool = False,
    corrects: bool | Callable[..., bool] = False,
    tells_next: Callable[..., bool] | None = None,
) -> Callable[[Callable[..., Any]], Rule]:
    """Make a reverse-step rule out of a function; its keyword-only parameters are the options. See `Rule`.

    >>> @dtool.sampler("straight", order=1)
    ... def straight(now, to):
    ...     return to.alpha * now.x0 + to.sigma * now.eps
    >>> dtool.plan(dtool.Recipe(straight), steps=5).rows
    5
    """

    def wrap(function: Callable[..., Any]) -> Rule:
        parameters = inspect.signature(function).parameters
        positional = [p.name for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
        if positional not in (["now", "to"], ["now", "to", "z"]):
            raise UsageError(
                f"sampler {name}: its function takes ({', '.join(positional)})",
                "write def rule(now, to) or def rule(now, to, z), then * and the options",
            )
        model = build_options_model(function)
        claims = validate_same(name, model, same)
        caveats = validate_breaks(name, model, breaks)
        if basis not in get_args(Basis):
            raise UsageError(f"sampler {name}: basis is {basis!r:.40}", "write 'x0' or 'eps'")
        defaults = tuple((k, f.default) for k, f in model.model_fields.items() if not f.is_required())
        start = order if startup_order is None else startup_order
        return Rule(
            name=name,
            step=function,
            order=order,
            startup_order=start,
            calls=1 if callable(calls) else calls,
            calls_of=calls if callable(calls) else None,
            startup_calls=startup_calls,
            startup_steps=startup_steps,
            basis=basis,
            cite=cite,
            stochastic="z" in parameters,
            model=model,
            family=family,
            same=claims,
            breaks=caveats,
            orders=orders,
            inverse=inverse,
            options=defaults,
            corrects=corrects,
            tells_next=tells_next,
        )

    return wrap
