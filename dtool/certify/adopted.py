"""The certificates of a sampler of another library: those that its plans can have, on the grids that it makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import islice
from math import nan, sqrt

import numpy as np

from dtool.certify.certificates import CERTIFICATES as RULE_CERTIFICATES
from dtool.certify.grids import by_lam
from dtool.certify.identities import BAR
from dtool.certify.laws import THREE_GAUSSIANS
from dtool.certify.moments import moments
from dtool.certify.option_variants import list_variants
from dtool.certify.result import CheckResult, largest
from dtool.errors import DtoolError
from dtool.plan import CLEAN, Plan, Point, Recipe, grid
from dtool.plan import compile as compile_plan
from dtool.plan.foreign import Adopted, AdoptionRequest, ForeignRule
from dtool.plan.linear_map import unroll
from dtool.plan.reference import Answer, iterate_states
from dtool.plugins.registry import get_registry
from dtool.samplers import get_sampler
from dtool.schedulers import get_scheduler
from dtool.schedulers.schedule import Schedule, from_lam
from dtool.spacings import get_spacing
from dtool.util.arrays import Array

STEPS, COUNTS = 16, (1, 2, 3, 7, 10, 31, 61, 100)
SLOPES = (16, 32, 64)
TABLE, MARGINALS, SAME = 1e-9, 1e-7, 1e-8
START = 0.01  # of the size of the start: some schedules round the first level
EVEN = (3.9, -3.0)  # λ of the cleanest level and of the noisiest, where the order is measured
FLOOR = 1e-10  # an error below it is rounding
ELSEWHERE = ("lcm:scaling=10",)  # what options are set to elsewhere, where a range says nothing of it


@dataclass(frozen=True)
class Order:
    """Errors at the end by the number of steps, and the slope at the finest of them; NaN if they do not fall."""

    errors: tuple[tuple[int, float], ...]
    slope: float


@cache
def adopt(recipe: Recipe, steps: int, exact: bool = True) -> Adopted:
    """The recipe's plan for so many steps, with what is known of its making."""
    rule = recipe.rule
    assert isinstance(rule, ForeignRule), "only those are adopted"
    levels = recipe.scheduler
    points = None
    if not rule.own_grid:
        levels = levels or get_scheduler("linear")
        points = grid(levels, recipe.spacing or get_spacing("trailing"), steps)
    return rule.adopt(rule, AdoptionRequest(steps=steps, points=points, schedule=levels, exact=exact))


def find_end(plan: Plan) -> Point:
    """The level at which a plan ends, if the image is held constant."""
    means, variances = moments(plan, 1.0, 0.0)
    alpha, sigma = float(means[-1]), sqrt(max(float(variances[-1]), 0.0))
    return CLEAN if sigma < 1e-7 and abs(alpha - 1) < 1e-7 else Point(max(alpha, 0.0), sigma)


def measure_marginals(plan: Plan) -> tuple[float, float, int]:
    """(of the mean, of the variance, the worst row): how far the network's inputs are from N(α·x0, σ²), x0 being 1.

    In units of α and of the whole variance.
    """
    means, variances = moments(plan, 1.0, 0.0)
    size = np.hypot(plan.alpha, plan.sigma)
    mean = np.abs(means[:-1] - plan.alpha) / size
    variance = np.abs(variances[:-1] - plan.sigma**2) / size**2
    return float(mean.max()), float(variance.max()), int(np.argmax(mean + variance))


def measure_start(plan: Plan) -> float:
    """How far the size of the noise at which a plan begins is from that of its first level, relative to it.

    Between σ and √(α² + σ²) it is right: the image may be counted in or not.
    """
    low, high = float(plan.sigma[0]), float(np.hypot(plan.alpha[0], plan.sigma[0]))
    return max(low - plan.init, plan.init - high, 0.0) / high


def measure_order(recipe: Recipe, counts: tuple[int, ...] = SLOPES) -> Order:
    """How fast x comes to the exact solution of the ODE as the steps double; in law, on Gaussian data, if it is random.

    Measured at the last step's beginning, on steps of equal length in λ where the sampler can be given such levels, so
    that the end of the grid, which is often one long step, and rounded times do not hide the method.
    """
    errors = []
    for n in counts:
        try:
            plan = _adopt_evenly(recipe, n)
        except DtoolError:
            continue
        errors.append((n, _measure_weak_error(plan) if plan.stochastic else _measure_error(plan)))
    window = [(n, error) for n, error in errors if FLOOR < error < 0.1][-3:]
    if len(window) < 2:
        return Order(tuple(errors), nan)
    log_n, log_error = np.log2([n for n, _ in window]), np.log2([error for _, error in window])
    return Order(tuple(errors), float(-np.polyfit(log_n, log_error, 1)[0]))


def _adopt_evenly(recipe: Recipe, n: int) -> Plan:
    """The plan on n steps of equal length in λ; on its own grid if there is no such schedule for it."""
    rule = recipe.rule
    assert isinstance(rule, ForeignRule), "only those are adopted"
    if not rule.own_grid:
        return rule.adopt(rule, AdoptionRequest(steps=n, points=by_lam(n), exact=True)).plan
    for size in (n + 1, n):  # some spacings leave out a time of the schedule, some do not
        levels = from_lam(np.linspace(*EVEN, size))
        try:
            plan = rule.adopt(rule, AdoptionRequest(steps=n, schedule=levels, exact=True)).plan
        except DtoolError:
            continue
        lengths = np.diff(plan.lam[plan.step_starts])
        if plan.schedule_hash == levels.hash and lengths.size and np.ptp(lengths) < 1e-3 * abs(lengths).max():
            return plan
    return adopt(recipe, n).plan


def _measure_error(plan: Plan) -> float:
    """The distance from the exact solution, on a mixture of three Gaussians, where the last step begins."""
    last = int(plan.step_starts[-1])
    levels = [Point(float(plan.alpha[i]), float(plan.sigma[i])) for i in range(plan.rows)]
    x = np.linspace(-1.8, 1.8, 7) * THREE_GAUSSIANS.std(levels[0])

    def ask(x: Array, i: int) -> Answer:
        return Answer(THREE_GAUSSIANS.x0(x, levels[i]) if plan.images[i] else THREE_GAUSSIANS.eps(x, levels[i]))

    found = next(islice(iterate_states(plan, ask, x), last, None))
    exact = THREE_GAUSSIANS.transport(x, levels[0], levels[last])
    return float(np.abs(found - exact).max())


def _measure_weak_error(plan: Plan, mean: float = 0.2, std: float = 0.15) -> float:
    """The error of mean and standard deviation where the last step begins, for data N(mean, std²)."""
    last = int(plan.step_starts[-1])
    means, variances = moments(plan, mean, std)
    exact = np.hypot(plan.alpha[last] * std, plan.sigma[last])
    return largest([float(abs(means[last] - plan.alpha[last] * mean)), float(abs(np.sqrt(variances[last]) - exact))])


def list_own_samplers() -> list[str]:
    """dtool's samplers and each notable value of their options, but for inversions and such as need an option."""
    tokens = [*ELSEWHERE]
    for entry, rule in get_registry().samplers.iterate_loaded():
        if not rule.inverse and set(rule.model.model_fields) <= set(dict(rule.options)):
            tokens += [entry.spelling, *list_variants(entry.spelling)]
    return tokens


@lru_cache(maxsize=64)
def _compile_own(points: tuple[Point, ...]) -> list[tuple[str, Plan]]:
    """dtool's samplers on these points, those of a short name first: of several that are the same it is found."""
    plans = []
    for token in sorted(list_own_samplers(), key=len):
        try:
            plans.append((token, compile_plan(get_sampler(token), points, prediction="x0")))
        except (DtoolError, ArithmeticError, ValueError):
            continue
    return plans


def find_same(plan: Plan, schedule: Schedule | None = None) -> tuple[str, float]:
    """(the sampler of dtool that comes nearest to the plan on its own grid, how far it is), ("", ∞) if none does.

    How far: the largest difference of a coefficient of x at any call, noise being compared by its covariance, in units
    of x there. schedule: the one that the plan's times count on, for samplers that look up another time.
    """
    end = find_end(plan)
    if schedule is not None and abs(end.v - schedule.sigma[0] / schedule.alpha[0]) < BAR:
        end = Point(end.alpha, end.sigma, 0.0, schedule)
    levels = [(float(plan.alpha[i]), float(plan.sigma[i]), float(plan.t[i])) for i in plan.step_starts]
    points = (*(Point(alpha, sigma, t, schedule) for alpha, sigma, t in levels), end)
    nearest, least = "", float("inf")
    for token, own in _compile_own(points):
        apart = _measure_distance(own, plan, end)
        if apart < least and least > SAME:
            nearest, least = token, apart
    return nearest, least


def _measure_distance(own: Plan, plan: Plan, end: Point) -> float:
    """How far two plans on the same points are from being one method; ∞ if they call the network elsewhere.

    A stage may be in other coordinates here than there: each x is compared in units of √(α² + σ²) at its call.
    """
    if own.rows != plan.rows:
        return float("inf")
    (alpha, sigma, signal, noise), others = (_unroll_by_size(one, end) for one in (own, plan))
    if max(np.abs(alpha - others[0]).max(), np.abs(sigma - others[1]).max()) > BAR:
        return float("inf")
    covariance = np.abs(noise @ noise.T - others[3] @ others[3].T)
    return largest([float(np.abs(signal - others[2]).max()), float(covariance.max())])


def _unroll_by_size(plan: Plan, end: Point) -> tuple[Array, Array, Array, Array]:
    """(α, σ, coefficients of the start and the images, those of the noises) of each x in units of √(α² + σ²)."""
    size = np.hypot(np.append(plan.alpha, end.alpha), np.append(plan.sigma, end.sigma))
    signal, noise = unroll(plan)
    signal[:, 0] *= size[0]
    return plan.alpha / size[:-1], plan.sigma / size[:-1], signal / size[:, None], noise / size[:, None]


def _check_adopted(name: str, recipe: Recipe) -> CheckResult:
    """The table is what the foreign code does; with its own float32 constants it is this one, but for rounding."""
    made = adopt(recipe, STEPS)
    shipped = adopt(recipe, STEPS, False)
    detail = f"coefficients of x against those of {made.plan.cite}'s own code, at each call; at most {TABLE:.0e}"
    detail += f"; with its constants as shipped {shipped.error:.1e}"
    return CheckResult(name, "pass" if made.error <= TABLE else "fail", f"{made.error:.1e}", detail)


def _check_marginals(name: str, recipe: Recipe) -> CheckResult:
    """Every network input has mean α·x0 and variance σ²."""
    plan = adopt(recipe, STEPS).plan
    mean, variance, row = measure_marginals(plan)
    starts_right = measure_start(plan) <= START
    good = largest([mean, variance]) <= MARGINALS and starts_right
    detail = f"mean / variance of the network's inputs for a constant image, {STEPS} steps; at most {MARGINALS:.0e}"
    if not starts_right:
        detail += f"; it begins at noise of size {plan.init:.3g}, where the network is told {plan.sigma[0]:.3g}"
    elif not good:
        detail += f"; worst at network call {row + 1}: the network is told another level than that of x"
    return CheckResult(name, "pass" if good else "fail", f"{mean:.1e} / {variance:.1e}", detail)


def _check_same(name: str, recipe: Recipe) -> CheckResult:
    """Which of dtool's samplers it is."""
    made = adopt(recipe, STEPS)
    token, apart = find_same(made.plan, made.schedule)
    if not token:
        return CheckResult(name, "skip", "-", "none of dtool's samplers makes these calls")
    if apart <= SAME:
        return CheckResult(name, "pass", f"{apart:.1e}", f"it is {token} on this grid: coefficients differ by that")
    return CheckResult(name, "info", f"{apart:.1e}", f"it is none of dtool's samplers; the nearest is {token}")


def _check_order(name: str, recipe: Recipe) -> CheckResult:
    """How fast the error falls on the sampler's own grids."""
    order = measure_order(recipe)
    errors = ", ".join(f"{n}: {error:.1e}" for n, error in order.errors)
    figure = "does not converge" if np.isnan(order.slope) else f"{order.slope:.2f}"
    kind = "mean and std on N(0.2, 0.15²)" if adopt(recipe, STEPS).plan.stochastic else "the ODE's solution"
    return CheckResult(name, "info", figure, f"error of {kind} where the last step begins, by steps: {errors}")


def _check_ends(name: str, recipe: Recipe) -> CheckResult:
    """Few steps and many: finite, and as many steps as asked for."""
    wrong = []
    for n in COUNTS:
        try:
            plan = adopt(recipe, n).plan
            if plan.steps != n:
                wrong.append(f"{n} steps: it makes {plan.steps}")
        except DtoolError as error:
            wrong.append(f"{n} steps: {error}")
    detail = "; ".join(wrong[:3]) if wrong else f"finite, and as many steps as asked for: {', '.join(map(str, COUNTS))}"
    return CheckResult(name, "fail" if wrong else "pass", f"{len(COUNTS) - len(wrong)}/{len(COUNTS)}", detail)


CERTIFICATES: dict[str, Callable[[str, Recipe], CheckResult]] = {
    "adopted": _check_adopted,
    "marginals": _check_marginals,
    "same": _check_same,
    "order": _check_order,
    "ends": _check_ends,
    "backends": RULE_CERTIFICATES["backends"],
    "batch": RULE_CERTIFICATES["batch"],
}
OF_INVERSIONS = ("adopted", "ends", "backends")  # which begin at an image
