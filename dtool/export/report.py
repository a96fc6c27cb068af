"""What an export says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

TOLERANCE = 1e-4


@dataclass(frozen=True)
class Comparison:
    """The largest difference in one comparison of the file with what it stands for; `what` names it."""

    what: str
    difference: float


@dataclass(frozen=True)
class ExportReport:
    """One exported file: its `size` in bytes, `opset`, the hash of its weights, and how far it is from the original.

    The original is PyTorch for a network, and the host's loop for a sampler, which has a `recipe`. `comparisons` is
    empty if the file was not checked. `str(report)` is what `dtool export` prints.
    """

    path: Path
    size: int
    opset: int
    weights_sha256: str
    comparisons: tuple[Comparison, ...] = ()
    seconds: float = 0.0
    recipe: str | None = None

    @property
    def largest(self) -> float | None:
        """The largest difference of all comparisons; None if none was made."""
        return max((c.difference for c in self.comparisons), default=None)

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.size / 1e6:.2f} MB, opset {self.opset}, weights {self.weights_sha256[:16]}"]
        lines += [f"  {c.difference:.1e}  {c.what}" for c in self.comparisons]
        original = "PyTorch" if self.recipe is None else "the host's loop"
        if self.largest is None:
            return "\n".join([*lines, f"not compared with {original}"])
        return "\n".join([*lines, f"largest difference from {original} {self.largest:.1e}, allowed {TOLERANCE:.0e}"])
