"""An unrolled sampler of another library as a plan, verified against the unrolled table."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import sqrt
from typing import Any, get_args

import numpy as np

from dtool.bridges.factoring import Rows, factor_rows
from dtool.bridges.unrolled import ForeignSampler, Unrolled, unroll_sampler
from dtool.errors import UsageError
from dtool.plan.compiled_plan import Column, Plan
from dtool.plan.prediction import history_map, locate_levels, output_map, scale_input
from dtool.plan.reference import Answer, iterate_states
from dtool.samplers.rule import Basis
from dtool.schedulers.schedule import Schedule

# What rounding may do to a coefficient: that of float64, and where its history is in terms of float32 constants.
EXACT, SHIPPED, LOOSE = 1e-9, 1e-7, 4e-6
SAME_SCALE = 1e-4  # a network's input is scaled as the schedule has it


@dataclass(frozen=True, kw_only=True)
class Adoption:
    """A plan, and how it was made.

    error: the largest difference of a coefficient of x, at any call or at the end, between the plan and the foreign
    code, relative to the largest one there. linearity: that of random runs from the foreign code's table. noises
    `(plan.draws, draws)`: the plan's noises in terms of those that the foreign code draws. bounds: what the
    foreign code clips predicted images to, None if it does not; a run of the plan clips if it is told to. schedule:
    the one that its times count on.
    """

    plan: Plan
    error: float
    linearity: float
    noises: Column
    bounds: tuple[float, float] | None
    schedule: Schedule | None


def adopt_sampler(sampler: ForeignSampler) -> Adoption:
    """Run the sampler's own code on unit vectors, and write what it does as a plan.

    Raises UsageError for a sampler that is not linear or adaptive, that gives NaN, or that no plan has room for.
    """
    unrolled = unroll_sampler(sampler)
    network = _read_levels(sampler, unrolled)
    images = _read_images(sampler, unrolled, network, EXACT if sampler.exact else LOOSE)
    basis, rows, tolerance = _choose_rows(sampler, unrolled, images, network)
    plan = _assemble(sampler, unrolled, network, basis, rows)
    deviation = _measure_error(plan, unrolled, rows)
    if not deviation <= 100 * tolerance:
        raise UsageError(
            f"{sampler.token}: its rows differ from what it does by {deviation:.1e}",
            "its coefficients are too large for float64, or its rows use each other's saved x",
        )
    noises = _map_noises(unrolled, rows, plan)
    return Adoption(
        plan=plan, error=deviation, linearity=unrolled.error, noises=noises, bounds=unrolled.bounds,
        schedule=sampler.schedule,
    )  # fmt: skip


def _choose_rows(
    sampler: ForeignSampler, unrolled: Unrolled, images: tuple[Column, Column | None], network: dict[str, Column]
) -> tuple[Basis, Rows, float]:
    """(basis, rows, tolerance) with the shortest history; of equal ones the least tolerance, then the smallest weights.

    A larger tolerance is for histories that the foreign code keeps in terms of rounded constants: in a plan's own terms
    they would grow.
    """
    drafts: list[tuple[Basis, Rows, float]] = []
    refusal: UsageError | None = None
    for tolerances in [(EXACT,)] if sampler.exact else [(EXACT, SHIPPED), (LOOSE,)]:
        for tolerance, basis in product(tolerances, get_args(Basis)):
            try:
                drafts.append((basis, _factor(sampler, unrolled, images, basis, network, tolerance), tolerance))
            except UsageError as error:
                refusal = error
        if drafts:
            return min(drafts, key=lambda one: (any(one[1].save), one[1].history, one[2], one[1].largest))
    assert refusal is not None, "each basis was tried"
    raise refusal


def _read_levels(sampler: ForeignSampler, unrolled: Unrolled) -> dict[str, Column]:
    """The columns of a plan that say what the network is told, and what its output means."""
    alpha, sigma, t = (np.array([level[k] for level in unrolled.levels], np.float64) for k in range(3))
    states = unrolled.states[:-1]
    measured = (unrolled.inputs * states).sum(axis=1) / (states * states).sum(axis=1)
    off = np.abs(unrolled.inputs - measured[:, None] * states).max(axis=1)
    for i in np.flatnonzero(off > LOOSE * np.abs(states).max(axis=1)):
        raise UsageError(
            f"{sampler.token}: at network call {i + 1} the network is not given x, scaled, but something else",
            "a plan's network is given x times a number",
        )
    if sampler.schedule is not None:
        for i in np.flatnonzero((t < 0) | (t > sampler.schedule.T - 1)):
            raise UsageError(
                f"{sampler.token}: at network call {i + 1} it is at time {t[i]:g}, and its schedule has 0 … "
                f"{sampler.schedule.T - 1}",
                "use another number of steps, or another spacing of its times",
            )
    time, c_in = np.where(np.isnan(t), 0.0, t), measured
    if sampler.schedule is not None:
        time, wanted, _ = locate_levels(sampler.schedule, t, alpha, sigma)
        wanted = scale_input(sampler.prediction, alpha, sigma, wanted)
        c_in = np.where(np.abs(measured - wanted) < SAME_SCALE * wanted, measured, wanted)
    c_in = np.where(np.abs(c_in - 1) < 1e-9, 1.0, c_in)
    c_skip, c_out = output_map(sampler.prediction, alpha, sigma, c_in)
    return {
        "alpha": alpha, "sigma": sigma, "t": t, "time": time, "c_in": c_in, "c_skip": c_skip, "c_out": c_out,
    }  # fmt: skip


def _read_images(
    sampler: ForeignSampler, unrolled: Unrolled, network: dict[str, Column], tolerance: float
) -> tuple[Column, Column | None]:
    """(images, what clipping took off them) of each call, `(calls, symbols)`; None where nothing is clipped."""
    n = unrolled.calls
    answers = np.zeros_like(unrolled.states[:-1])
    answers[np.arange(n), 1 + np.arange(n)] = 1.0
    raw = network["c_skip"][:, None] * unrolled.states[:-1] + network["c_out"][:, None] * answers
    if not len(unrolled.clipped):
        return raw, None
    scale = np.abs(raw).max(axis=1)
    for i in np.flatnonzero(np.abs(unrolled.clipped - raw).max(axis=1) > 10 * tolerance * scale):
        raise UsageError(
            f"{sampler.token}: what it clips after network call {i + 1} is not the image that the network predicts",
            "turn its clipping off (clip_sample=false), and clip with dtool's --clip",
        )
    clipped = np.zeros_like(raw)
    clipped[np.arange(n), 1 + n + np.arange(n)] = 1.0
    return clipped, raw - clipped


def _factor(
    sampler: ForeignSampler, unrolled: Unrolled, images: tuple[Column, Column | None], basis: Basis,
    network: dict[str, Column], tolerance: float,
) -> Rows:  # fmt: skip
    """The rows, with the history in this basis."""
    entries, (image, gaps), states = images[0], images, unrolled.states
    if basis == "eps":
        alpha, sigma, n = network["alpha"], network["sigma"], unrolled.calls
        m_x, m_f = history_map(basis, sampler.prediction, alpha, sigma, network["c_in"])
        entries = m_x[:, None] * states[:-1]
        entries[np.arange(n), 1 + np.arange(n)] += m_f
        if gaps is not None:  # of σ = 0, where ε does not follow from the image, it is what the network says
            safe = np.where((alpha == 0) | (sigma == 0), 1.0, sigma)
            noise = (states[:-1] - alpha[:, None] * image) / safe[:, None]
            derived = np.where((alpha == 0)[:, None], image, noise)
            entries = np.where((sigma == 0)[:, None], entries, derived)
    if not np.isfinite(entries).all():
        raise UsageError(f"{sampler.token}: its history is not finite in terms of {basis}", "use other options")
    starts = [level.starts for level in unrolled.levels]
    return factor_rows(states, entries, gaps, unrolled.first_noise, starts, tolerance, sampler.token)


def _assemble(
    sampler: ForeignSampler, unrolled: Unrolled, network: dict[str, Column], basis: Basis, rows: Rows
) -> Plan:
    m_x, m_f = history_map(basis, sampler.prediction, network["alpha"], network["sigma"], network["c_in"])
    start = unrolled.states[0]
    added = float(np.linalg.norm(start[unrolled.first_noise :]))  # noise that is drawn before the first call
    levels = sampler.schedule
    starts = np.array([level.starts for level in unrolled.levels])
    columns: dict[str, Any] = {**network, **rows.to_columns()}
    return Plan(
        recipe=sampler.token, sampler=sampler.token, cite=sampler.source,
        schedule=levels.token if levels else "", schedule_hash=levels.hash if levels else "",
        trained_hash=levels.hash if levels else "",
        prediction=sampler.prediction, basis=basis, init=sqrt((sampler.init * start[0]) ** 2 + added**2), m_x=m_x,
        m_f=m_f, step_end=np.append(starts[1:], True), inverse=sampler.inverse, **columns,
    )  # fmt: skip


def _measure_error(plan: Plan, unrolled: Unrolled, rows: Rows) -> float:
    """How far the plan's x is from the foreign one, at each call and at the end, by the meaning of its rows."""
    n, clips = unrolled.calls, len(unrolled.clipped)
    unit: Any = np.eye(1, unrolled.states.shape[1])[0]

    def symbol(k: int) -> Column:
        vector: Column = np.roll(unit, k)
        return vector

    def ask(x: Column, i: int) -> Answer:
        output = symbol(1 + i)
        said = plan.m_x[i] * x + plan.m_f[i] * output
        if not clips:
            return Answer(said)
        raw, image = plan.c_skip[i] * x + plan.c_out[i] * output, symbol(1 + n + i)
        if plan.sigma[i] == 0 and not plan.images[i]:
            return Answer(said, raw - image)
        return Answer(image if plan.images[i] else (x - plan.alpha[i] * image) / plan.sigma[i], raw - image)

    worst = 0.0
    for state, wanted in zip(
        iterate_states(plan, ask, unrolled.states[0], lambda i: rows.noises[i]), unrolled.states, strict=True
    ):
        worst = max(worst, float(np.abs(state - wanted).max()) / max(1.0, float(np.abs(wanted).max())))
    return worst


def _map_noises(unrolled: Unrolled, rows: Rows, plan: Plan) -> Column:
    """The plan's noises in terms of the drawn ones: exactly if each is drawn once, else by least squares."""
    own: Any = np.array(rows.noises)[plan.c != 0][:, unrolled.first_noise :]
    mapped: Column = np.zeros((plan.draws, len(unrolled.weights)))
    if own.size:
        alone = (
            unrolled.weights.shape[0] == unrolled.weights.shape[1] and (unrolled.weights == np.eye(len(own[0]))).all()
        )
        mapped = own if alone else np.linalg.lstsq(unrolled.weights.T, own.T, rcond=None)[0].T
    return mapped
