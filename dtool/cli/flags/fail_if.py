"""`dtool compare --fail-if`: what can be refused before anything is drawn, and what is judged in the end."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dtool.cli.flags.groups import FlagGroup
from dtool.cli.show.output import remark
from dtool.errors import DtoolError, UsageError

if TYPE_CHECKING:
    from dtool.compare.gate import Gate
    from dtool.metrics import Reference
    from dtool.models.network import Network
    from dtool.targets import Target


@dataclass(frozen=True, kw_only=True)
class GateFlags:
    """Limits as they were typed, and the comparison that changes are against."""

    baseline: Annotated[
        Path | None, typer.Option(help="an earlier comparison's JSON, to compare with", show_default=False)
    ] = None
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            help='exit with 3 where a figure is beyond a limit: "mmd>0.02", or changed from --baseline by more, and by '
            'more than both 95% intervals explain: "mmd>+5%"',
            show_default=False,
        ),
    ] = None


GATES = FlagGroup.of(GateFlags)


@dataclass
class GateSet:
    """The limits that figures must keep to, and the earlier comparison that changes are against.

    `figures`: those that there will be, and whether each is the same on average for any number of images.
    """

    gates: list[Gate]
    old: dict[str, Any] | None
    figures: dict[str, bool] = field(default_factory=dict)

    @classmethod
    def of(cls, flags: GateFlags) -> GateSet:
        """Raises UsageError for what is no limit, or a change from nothing, DtoolError for what is no baseline."""
        from dtool.compare.gate import Gate, read_baseline

        gates = [Gate.parse(text) for text in flags.fail_if or []]
        limits = cls(gates, None if flags.baseline is None else read_baseline(flags.baseline))
        for gate in gates:
            gate.require(limits.old, {gate.figure})
        return limits

    def require(
        self, net: Network, reference: Reference | Target | None, metrics: list[str] | None, solver: bool
    ) -> None:
        """Raise UsageError for a figure that there will not be."""
        self.figures = _list_figures(net, reference, metrics, solver)
        could: dict[str, str] = {}
        if reference is None:
            could = dict.fromkeys(_list_metrics(), "it needs real images: --data FOLDER")
        elif metrics is not None:
            could = {name: f"ask for it: --metrics {','.join([*metrics, name])}" for name in _list_metrics()}
        could |= {} if solver else dict.fromkeys(("rmse", "psnr"), "leave out --no-solver")
        for gate in self.gates:
            gate.require(self.old, self.figures, could)

    def refuse(self, figures: Collection[str], why: str) -> None:
        """Raise UsageError for a limit on a figure that is not measured here."""
        for gate in self.gates:
            if gate.figure in figures:
                raise UsageError(f"--fail-if {gate.text!r}: {why}", "limit another figure")

    def require_baseline(
        self, net: Network, recipes: Sequence[str], steps: Sequence[int], guidances: Sequence[str] | None, n: int | None
    ) -> None:
        """Raise UsageError for a change against what the baseline does not have, or has of another number of images."""
        changes = [gate for gate in self.gates if gate.relative]
        if not changes or self.old is None:
            return
        from dtool.compare.contestants import list_contestants
        from dtool.compare.entry_identity import EntryKey, describe_guidance
        from dtool.plan.recipe import split_guidance
        from dtool.run.guided_plan import get_scale

        keys = {
            EntryKey(
                split_guidance(plan.recipe)[0],
                plan.steps,
                describe_guidance(plan.guidance, get_scale(net.spec, plan)),
            )
            for plan in list_contestants(net, recipes, steps, guidances)[1]
        }
        for gate in changes:
            gate.require_same(self.old, keys, n, self.figures.get(gate.figure, False))

    def report_violations(self, document: dict[str, Any], quiet: bool) -> bool:
        """Whether a figure is beyond its limit; a line for each. Raises UsageError for what cannot be judged."""
        failed, wrong = False, None
        for gate in self.gates:
            try:
                violations = list(gate.find_violations(document, self.old, self.figures.get(gate.figure, False)))
            except UsageError as error:
                wrong = wrong or error
                continue
            for one in violations:
                remark(one.line, quiet and not one.sure)
            failed = failed or any(one.sure for one in violations)
        if wrong is not None:
            raise wrong
        return failed


def _list_figures(
    net: Network, reference: Reference | Target | None, metrics: list[str] | None, solver: bool
) -> dict[str, bool]:
    from dtool.compare.gate import ENTRY_FIGURES, SOLVER_FIGURES
    from dtool.compare.law_error import STATISTICS
    from dtool.metrics import list_metrics, resolve_metric
    from dtool.targets import Target

    figures = dict.fromkeys(ENTRY_FIGURES + (SOLVER_FIGURES if solver else ()), False)
    if reference is not None:
        definitions = list_metrics() if metrics is None else [resolve_metric(name) for name in metrics]
        figures |= {metric.token: metric.unbiased for metric in definitions}
    elif net.spec.statistics is not None:
        figures[STATISTICS] = False
    return figures | ({"w2": False} if isinstance(reference, Target) else {})


def _list_metrics() -> list[str]:
    """The names of all metrics; none where a plugin is broken, since this is for a hint alone."""
    from dtool.metrics import list_metrics

    try:
        return [metric.token for metric in list_metrics()]
    except DtoolError:
        return []
