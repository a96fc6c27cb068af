"""What an export says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dtool.export.smaller.loss import CompressionLoss
    from dtool.export.smaller.text_weights import TextLoss

TOLERANCE = 1e-4
SMALL_TOLERANCE = 1e-2  # of fp16 and int8, root mean square: a last bit of float32 may decide a whole step there


@dataclass(frozen=True)
class ParityCheck:
    """The largest difference in one comparison of the file with what it stands for; `what` names it."""

    what: str
    difference: float


@dataclass(frozen=True, kw_only=True)
class ExportReport:
    """One exported file: its `size` in bytes, `opset`, the hash of its weights, and how far it is from the original.

    The original is PyTorch for a network, and the host's loop for a sampler, which has a `recipe`. `comparisons` is
    empty if the file was not checked. `loss`: of a smaller network, against that in float32; `text_loss`: of a text
    encoder in eight bits. `allowed`: the tolerance.
    `str(report)` is what `dtool export` prints.
    """

    path: Path
    size: int
    opset: int
    weights_sha256: str
    comparisons: tuple[ParityCheck, ...] = ()
    seconds: float = 0.0
    recipe: str | None = None
    loss: CompressionLoss | None = None
    text_loss: TextLoss | None = None
    allowed: float = TOLERANCE

    @property
    def largest(self) -> float | None:
        """The largest difference of all comparisons; None if none was made."""
        return max((c.difference for c in self.comparisons), default=None)

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.size / 1e6:.2f} MB, opset {self.opset}, weights {self.weights_sha256[:16]}"]
        lines += [f"  {c.difference:.1e}  {c.what}" for c in self.comparisons]
        lines += [str(loss) for loss in (self.loss, self.text_loss) if loss is not None]
        original = "PyTorch" if self.recipe is None else "the host's loop"
        if self.largest is None:
            return "\n".join([*lines, f"not compared with {original}"])
        verdict = f"largest difference from {original} {self.largest:.1e}, allowed {self.allowed:.0e}"
        return "\n".join([*lines, verdict])
