"""CFG++ of methods with history or stages, as ComfyUI's functions have it: rules that see both predictions.

Their general form is any rule under the guidance `cfgpp`; these keep the history, or the stage, that the network has
without the conditions. Without guidance each is the method it is named after.
"""

from typing import Any

from dtool.samplers.engines.adams import exponential_moments, lagrange_weights, select_nodes
from dtool.samplers.engines.one_step import ancestral_noise, one_step
from dtool.samplers.engines.options import SCALED_NOISE, Ancestral, NoiseScale
from dtool.samplers.engines.runge_kutta import explicit_step, is_end_step, point_at, point_below
from dtool.samplers.rule import sampler

PAPER = "arXiv:2406.08070"


def guided_step(now: Any, to: Any) -> Any:
    """α'·D + σ'·ε_without: one step of CFG++, its algorithm 2."""
    return to.alpha * now.x0 + to.sigma * now.without.eps


@sampler(
    "dpmpp-2m-cfgpp",
    order=2,
    startup_order=1,
    cite=f"{PAPER}, DPM-Solver++(2M); as in ComfyUI's sample_dpmpp_2m_cfg_pp",
    family="multistep",
)
def dpmpp_2m_cfgpp(now, to):
    """DPM-Solver++(2M) of CFG++: the guided image's slope is taken from the last image without the conditions.

    One network call per step, and order 2 without guidance; with it there is no limit of many steps, so no order. The
    first step, and one from or to a level with infinite λ, are Euler's of CFG++.
    """
    x, nodes = guided_step(now, to), select_nodes(now, to, 2)
    if len(nodes) == 1:
        return x
    last = nodes[1]
    reach = to.alpha - now.alpha * to.sigma / now.sigma  # α'(1 - e^{-h})
    half_step = (to.lam - now.lam) / (2 * (now.lam - last.lam))
    return x + reach * half_step * (now.x0 - last.without.x0)


@sampler(
    "dpmpp-2s-ancestral-cfgpp",
    order=2,
    calls=2,
    cite=f"{PAPER}, DPM-Solver++(2S); as in ComfyUI's sample_dpmpp_2s_ancestral_cfg_pp",
    family="stochastic",
    breaks=SCALED_NOISE,
)
def dpmpp_2s_ancestral_cfgpp(now, to, z, *, eta: Ancestral = 1.0, s_noise: NoiseScale = 1.0):
    """DPM-Solver++(2S) of CFG++: the step of the unguided network, then the whole difference of the two images.

    Two network calls per step, and weak order 2 without guidance; with it there is no limit of many steps. One call
    where the step is to σ = 0, which ends at the guided image, or from α = 0.
    """
    noise, free = ancestral_noise(now, to, eta), now.without
    pull = to.alpha * (now.x0 - free.x0)
    if is_end_step(now, to):
        return one_step(free, to, s_noise * z, noise) + pull
    low = point_below(to, noise)
    half = point_at(now, to, (now.lam + low.lam) / 2)
    mid = yield explicit_step(free, half), half
    return explicit_step(free, low, (1.0, mid.without), of="x0") + pull + s_noise * noise * mid.z


@sampler(
    "res-multistep-cfgpp",
    order=2,
    startup_order=1,
    orders=lambda eta, **_: (2, 1) if eta == 0 else (1, 1),
    cite="arXiv:2308.02157, eq. 10; as in ComfyUI's sample_res_multistep_cfg_pp",
    family="multistep",
    breaks=SCALED_NOISE,
)
def res_multistep_cfgpp(now, to, z, *, eta: Ancestral = 0.0, s_noise: NoiseScale = 1.0):
    """RES, multistep, of CFG++: x moved by the difference of the two images, then the step of the unguided network.

    One network call per step, and order 2 without guidance; with it there is no limit of many steps. With η > 0 the
    last step counts as long as it was before its noise. The first step, and those at infinite λ, are Euler's of CFG++.
    """
    noise, free = ancestral_noise(now, to, eta), now.without
    low = point_below(to, noise) if noise else to
    nodes = select_nodes(now, low, 2)
    if len(nodes) == 1:
        x = low.alpha * now.x0 + low.sigma * free.eps
        return x + s_noise * noise * z if noise else x
    last = nodes[1]
    kept = low.sigma / now.sigma
    weights = _weigh(now, low, point_below(now.point, ancestral_noise(last, now, eta)).lam - last.lam)
    x = kept * (now.x + now.alpha * (now.x0 - free.x0)) + weights[0] * free.x0 + weights[1] * last.without.x0
    return x + s_noise * noise * z if noise else x


def _weigh(now: Any, to: Any, last: float) -> list[float]:
    """The weights of x0 now and a length `last` in λ before: those of the line through both."""
    h = to.lam - now.lam
    return lagrange_weights([0.0, -last / h], [to.alpha * h * m for m in exponential_moments(-h, 2)])
