"""Heun++: Heun's method that looks one step further."""

from dtool.samplers.engines.runge_kutta import explicit_step, is_end_step, point_at
from dtool.samplers.rule import sampler


@sampler(
    "heunpp2",
    order=1,
    calls=3,
    cite="ComfyUI's sample_heunpp2, after the Heun variant of zju-pi/diff-sampler",
    family="Runge-Kutta",
)
def heunpp2(now, to):
    """Heun++: ε at the start, at the end and one step further, weighted by how far the noise has come down.

    Three network calls per step, and order 1 only: the weights v/(3·v_first) are not those of a quadrature, and as v
    falls it becomes Euler's method. For those who know it; heun costs less and does more. The level one step further
    is taken to be as far below the end, in λ, as the end is below the start. One call where the step is to σ = 0 or
    from α = 0.
    """
    if is_end_step(now, to):
        return explicit_step(now, to)
    last = now.before
    v = now.v if last is None or last.alpha == 0 else last.kept["first"]
    now.keep(first=v)
    further = point_at(now, to, 2 * to.lam - now.lam)
    end = yield explicit_step(now, to), to
    beyond = yield explicit_step(end, further), further
    return explicit_step(now, to, (to.v / v / 3, end), (further.v / v / 3, beyond))
