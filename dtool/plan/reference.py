"""What a row of a plan means: the plainest reader of plans there is, against which every faster one is tested.

A row is one network call and what becomes of x afterwards. Row i, with z standard Gaussian noise and the history H of
the last `plan.history` entries, the newest first, reads its columns in this order:

    c_in, time       F = network(c_in·x, time): the input is scaled, and the network is given this time
    c_skip, c_out    D = c_skip·x + c_out·F, the predicted image, which may then be clipped
    alpha, sigma     m = D, or ε = (x - alpha·D)/sigma, by `plan.basis`; D where alpha = 0, since ε says nothing there
    m_x, m_f         m = m_x·x + m_f·F is the same without the division, if D is not clipped, or sigma = 0 and m is ε
    guided, scale    F is F_without + (1 + guided·(scale - 1))·(F_given - F_without): guidance, if there are conditions
    shift            x = x + shift·G, with G = D - D_without, in all that follows: in m too, where that is an ε
    b                H = [m, *H]; the weights of the history's entries, b[0] that of m
    save             s = x: this x is saved, and takes the place of the one saved before
    a, a_saved       the weights of x and of the saved s
    b_raw            the weight of what clipping took off D
    b_without        the weights of G and of the Gs of the rows before, the newest first
    c, c_low         the standard deviation of the noise: c; where c_low < c, c_low^(1-f)·c^f, and the network says f

        x = a·x + a_saved·s + Σ_k b[k]·H[k] + b_raw·(D before clipping - D) + Σ_k b_without[k]·G[k]
            + (standard deviation)·z

`step_end` says that an interval of the grid ends with this row, and `t` is its time on the plan's own schedule:
neither is needed to compute x. x begins as `plan.init`·z, unless the plan is `inverse` and begins at an image.

All of it is +, - and · with Python's numbers, so that x may be float64, float32, or a vector of coefficients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from dtool.plan.compiled_plan import Plan


class Answer(NamedTuple):
    """What a row gets from its network call: m, what clipping took off D, f between c_low (0) and c (1), and G.

    m is that of x before the row's shift.
    """

    entry: Any
    clipped: Any = 0.0
    share: Any = 1.0
    gap: Any = 0.0


Ask = Callable[[Any, int], Answer]  # (x, row) ↦ what the network call of this row contributes
Noise = Callable[[int], Any]  # row ↦ its z


def _no_noise(_: int) -> float:
    return 0.0


def run_plan(
    plan: Plan,
    network: Callable[[Any, float], Any],
    x: Any,
    noise: Noise = _no_noise,
    *,
    clip: Callable[[Any], Any] | None = None,
) -> Any:
    """x after the last row, from x `(B, *)` at the first.

    network(x, time): its output F `(B, *)`; of a plan whose noise the network scales (`plan.learned`), (F, v) with v
    in [-1, 1] and f = (v+1)/2. noise(i): z `(B, *)` of row i. clip: what is done to every predicted image.
    """
    return run_rows(plan, lambda x, i: ask_network(plan, i, network, x, clip), x, noise)


def ask_network(
    plan: Plan,
    i: int,
    network: Callable[[Any, float], Any],
    x: Any,
    clip: Callable[[Any], Any] | None = None,
    without: Callable[[Any, float], Any] | None = None,
) -> Answer:
    """What the network contributes to row i, at x; see `run_plan`. network: guided, if there is guidance."""
    called_with = float(plan.c_in[i]) * x, float(plan.time[i])
    output, v = network(*called_with), 1.0
    if plan.learned:
        output, v = output
    raw = float(plan.c_skip[i]) * x + float(plan.c_out[i]) * output
    image = raw if clip is None else clip(raw)
    if clip is None or (plan.sigma[i] == 0 and not plan.images[i]):
        entry = float(plan.m_x[i]) * x + float(plan.m_f[i]) * output
    else:
        entry = image if plan.images[i] else (x - float(plan.alpha[i]) * image) / float(plan.sigma[i])
    gap: Any = 0.0
    if without is not None and plan.compares[i]:
        other = float(plan.c_skip[i]) * x + float(plan.c_out[i]) * without(*called_with)
        gap = image - (other if clip is None else clip(other))
    return Answer(entry, 0.0 if clip is None else raw - image, (v + 1) / 2, gap)


def guide_network(
    plan: Plan,
    given: Callable[[Any, float], Any],
    without: Callable[[Any, float], Any],
    scale: float,
    i: int,
) -> Callable[[Any, float], Any]:
    """The network of row i: without + (1 + guided·(scale - 1))·(given - without); nothing is rescaled."""
    guided = float(plan.guided[i])
    weight = guided * scale + (1 - guided)
    return lambda x, t: without(x, t) + weight * (given(x, t) - without(x, t))


def run_rows(plan: Plan, ask: Ask, x: Any, noise: Noise = _no_noise) -> Any:
    """x after the last row, from x at the first; `ask(x, i)` stands for the network call of row i."""
    for state in iterate_states(plan, ask, x, noise):
        x = state
    return x


def iterate_states(plan: Plan, ask: Ask, x: Any, noise: Noise = _no_noise) -> Iterator[Any]:
    """x at every network call, and after the last row: `plan.rows` + 1 values. No x is overwritten."""
    columns = zip(
        plan.save.tolist(), plan.a.tolist(), plan.a_saved.tolist(), plan.b.tolist(), plan.b_raw.tolist(),
        plan.c_low.tolist(), plan.c.tolist(), strict=True,
    )  # fmt: skip
    saved = x
    history: list[Any] = []
    gaps: list[Any] = []
    for i, (save, a, a_saved, b, b_raw, c_low, c) in enumerate(columns):
        yield x
        answer = ask(x, i)
        entry, shift = answer.entry, float(plan.shift[i])
        if shift:
            x = x + shift * answer.gap
            entry = entry if plan.images[i] else entry + shift / float(plan.sigma[i]) * answer.gap
        history = [entry, *history[: plan.history - 1]]
        gaps = [answer.gap, *gaps[: plan.b_without.shape[1]]]
        saved = x if save else saved
        x = a * x + a_saved * saved
        for weight, entry in zip(b, history, strict=False):
            x = x + weight * entry
        for weight, gap in zip(plan.b_without[i].tolist(), gaps, strict=False):
            x = x + weight * gap
        if b_raw:
            x = x + b_raw * answer.clipped
        if c:
            x = x + c_low ** (1 - answer.share) * c**answer.share * noise(i)
    yield x
