"""`dtool compare --fail-if`: what can be refused before anything is drawn, and what is judged in the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dtool.cli.output import remark
from dtool.errors import DtoolError, UsageError

if TYPE_CHECKING:
    from dtool.compare.gate import Gate
    from dtool.metrics import Reference
    from dtool.networks.network import Network
    from dtool.targets import Target


@dataclass
class Limits:
    """The limits that figures must keep to, and the earlier comparison that changes are against.

    `figures`: those that there will be, and whether each is the same on average for any number of images.
    """

    gates: list[Gate]
    old: dict[str, Any] | None
    figures: dict[str, bool] = field(default_factory=dict)

    @classmethod
    def of(cls, texts: Sequence[str], baseline: Path | None) -> Limits:
        """Raises UsageError for what is no limit, or a change from nothing, DtoolError for what is no baseline."""
        from dtool.compare.gate import Gate, read_baseline

        gates = [Gate.parse(text) for text in texts]
        made = cls(gates, None if baseline is None else read_baseline(baseline))
        for gate in gates:
            gate.require(made.old, {gate.figure})
        return made

    def require(
        self, net: Network, reference: Reference | Target | None, metrics: list[str] | None, solver: bool
    ) -> None:
        """Raise UsageError for a figure that there will not be."""
        self.figures = _figures(net, reference, metrics, solver)
        could: dict[str, str] = {}
        if reference is None:
            could = dict.fromkeys(_metrics(), "it needs real images: --data FOLDER")
        elif metrics is not None:
            could = {name: f"ask for it: --metrics {','.join([*metrics, name])}" for name in _metrics()}
        could |= {} if solver else dict.fromkeys(("rmse", "psnr"), "leave out --no-solver")
        for gate in self.gates:
            gate.require(self.old, self.figures, could)

    def require_baseline(self, net: Network, recipes: Sequence[str], steps: Sequence[int], n: int | None) -> None:
        """Raise UsageError for a change against what the baseline does not have, or has of another number of images."""
        changes = [gate for gate in self.gates if gate.relative]
        if not changes or self.old is None:
            return
        from dtool.compare.contestants import contestants

        keys = {(plan.recipe, plan.steps) for plan in contestants(net, recipes, steps)[1]}
        for gate in changes:
            gate.require_same(self.old, keys, n, self.figures.get(gate.figure, False))

    def failed(self, document: dict[str, Any], quiet: bool) -> bool:
        """Whether a figure is beyond its limit; a line for each. Raises UsageError for what cannot be judged."""
        failed, wrong = False, None
        for gate in self.gates:
            try:
                found = list(gate.beyond(document, self.old, self.figures.get(gate.figure, False)))
            except UsageError as error:
                wrong = wrong or error
                continue
            for one in found:
                remark(one.line, quiet and not one.sure)
            failed = failed or any(one.sure for one in found)
        if wrong is not None:
            raise wrong
        return failed


def _figures(
    net: Network, reference: Reference | Target | None, metrics: list[str] | None, solver: bool
) -> dict[str, bool]:
    from dtool.compare.gate import OF_ALL, OF_SOLVER
    from dtool.compare.law import STATISTICS
    from dtool.metrics import available, named
    from dtool.targets import Target

    found = dict.fromkeys(OF_ALL + (OF_SOLVER if solver else ()), False)
    if reference is not None:
        asked = available() if metrics is None else [named(name) for name in metrics]
        found |= {metric.token: metric.unbiased for metric in asked}
    elif net.spec.statistics is not None:
        found[STATISTICS] = False
    return found | ({"w2": False} if isinstance(reference, Target) else {})


def _metrics() -> list[str]:
    """The names of all metrics; none where a plugin is broken, since this is for a hint alone."""
    from dtool.metrics import available

    try:
        return [metric.token for metric in available()]
    except DtoolError:
        return []
