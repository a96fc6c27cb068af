"""How fast a sampler converges, as a picture shows it: its error at the end, step count by step count."""

from __future__ import annotations

from dataclasses import dataclass

from dtool.certify.certificates import explain_not_ode
from dtool.certify.inversion import upward_error
from dtool.certify.moments import weak_error
from dtool.certify.order import shipped_error
from dtool.certify.slopes import FLOOR
from dtool.samplers.rule import Rule

COUNTS = (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
ODE = "distance to the exact solution of the ODE"
LAW = "error of mean and standard deviation"
DATA = {
    ODE: "data: three Gaussians, whose ODE has an exact solution",
    LAW: "data: a Gaussian, mean 0.2, std 0.15, by exact recursion",
}


@dataclass(frozen=True)
class Curve:
    """Errors of a rule at the step counts, those at the floor of rounding left out; `order` is the declared one."""

    name: str
    order: int
    counts: tuple[int, ...]
    errors: tuple[float, ...]

    def reference(self) -> tuple[tuple[int, float], ...]:
        """Two points of a line that falls at the declared order, a little below the finest errors; none for order 0."""
        if self.order < 1 or len(self.counts) < 2:
            return ()
        n, e = self.counts[-1], self.errors[-1] / 3
        first = max(self.counts[0], n // 16)
        return (first, e * (n / first) ** self.order), (n, e)


def choose_measure(*rules: Rule) -> str:
    """ODE if every rule solves the probability-flow ODE, otherwise LAW."""
    return LAW if any(explain_not_ode(rule) for rule in rules) else ODE


def curve(rule: Rule, measure: str, counts: tuple[int, ...] = COUNTS) -> Curve:
    """The errors of `rule` on steps equal in λ from σ/α = 20 to 0.02, by ODE or LAW, with no random numbers."""
    error = upward_error if rule.inverse else shipped_error if measure == ODE else weak_error
    points = []
    for n in counts:
        value = error(rule, n)
        if value < FLOOR:
            break
        points.append((n, value))
    return Curve(rule.token, rule.order, tuple(n for n, _ in points), tuple(e for _, e in points))
