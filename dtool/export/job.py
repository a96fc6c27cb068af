"""What every export is told, and what it says of itself in the end."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dtool.errors import UsageError
from dtool.export.network.sources import SourceNetwork
from dtool.export.report import SMALL_TOLERANCE, TOLERANCE, ExportReport, ParityCheck
from dtool.plan.compiled_plan import Plan

if TYPE_CHECKING:
    from dtool.export.smaller.replacement import Precision


@dataclass(frozen=True, kw_only=True)
class ExportJob:
    """What every export is told."""

    path: Path
    steps: int
    check: bool
    small: Precision | None
    allow_loss: bool
    started: float

    def report(
        self, size: int, document: dict[str, Any], comparisons: tuple[ParityCheck, ...], recipe: str | None, loss: Any
    ) -> ExportReport:
        """What the export says of itself."""
        seconds = time.perf_counter() - self.started
        opset, digest = document["opset"], document["weights_sha256"]
        allowed = SMALL_TOLERANCE if recipe and "precision" in document else TOLERANCE
        return ExportReport(
            path=self.path,
            size=size,
            opset=opset,
            weights_sha256=digest,
            comparisons=comparisons,
            seconds=seconds,
            recipe=recipe,
            loss=loss,
            allowed=allowed,
        )

    def rewrite(self, source: SourceNetwork) -> SourceNetwork:
        """The network rewritten for the CPU; as it is, where it is to be made smaller, which has rules of its own."""
        if self.small is not None:
            return source
        from dtool.export.network.rewritten import rewrite_source

        return rewrite_source(source)

    def shrink(self, source: SourceNetwork, plan: Plan) -> tuple[SourceNetwork, Any]:
        """The network as small as was asked for, and what that loses."""
        if self.small is None:
            return source, None
        if self.small == "int8" and source.spec.conditions:
            names = ", ".join(one.name for one in source.spec.conditions)
            raise UsageError(
                f"int8 is calibrated on what the network is told, and {names} is not known here", "use half"
            )
        from dtool.export.smaller.replacement import shrink_network

        proto, loss = shrink_network(source.proto, source.spec, plan, self.small, self.allow_loss)
        return replace(source, proto=proto), loss
