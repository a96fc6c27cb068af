"""A seeded fault: one text of one file, and what stands in its place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Fault:
    """`text`, which `file` holds once, is replaced; `wrong`: what is then wrong. Paths begin at the root."""

    name: str
    file: str
    text: str
    replacement: str
    wrong: str

    def apply(self, tree: Path) -> None:
        """Put the fault into a copy of the repository; raises ValueError unless its text is there once."""
        path = tree / self.file
        source = path.read_text(encoding="utf-8")
        if source.count(self.text) != 1:
            raise ValueError(f"{self.name}: {self.file} holds its text {source.count(self.text)} times")
        path.write_text(source.replace(self.text, self.replacement), encoding="utf-8")
