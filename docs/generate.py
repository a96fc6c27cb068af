"""Write the parts of the documentation that come from the code: docs/commands.md and docs/samplers.md.

`python docs/generate.py` writes them; with `--check` it only says whether they are in step, and exits 1 if not.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dtool.plugins.registry import Catalogue, registry

DOCS = Path(__file__).parent
COMMANDS = (
    "sample", "compare", "export", "train", "plan", "check", "schedulers", "samplers", "spacings", "forward", "plugins",
    "env",
)  # fmt: skip
NOTE = "<!-- Written by docs/generate.py; do not edit. -->\n"


def help_text(*words: str) -> str:
    """What `dtool WORDS --help` prints on a plain terminal of 100 columns."""
    plain = {k: v for k, v in os.environ.items() if k not in ("FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "NO_COLOR")}
    plain |= {"TERM": "dumb", "COLUMNS": "100", "DTOOL_NO_PLUGINS": "1"}
    command = [sys.executable, "-m", "dtool", *words, "--help"]
    done = subprocess.run(command, env=plain, capture_output=True, text=True, check=True)
    return "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())


def commands() -> str:
    """docs/commands.md."""
    parts = [NOTE, "# Commands\n", f"```text\n{help_text()}\n```\n"]
    parts += [f"## dtool {name}\n\n```text\n{help_text(name)}\n```\n" for name in COMMANDS]
    return "\n".join(parts)


def options(model: Any) -> str:
    """A table of a thing's options, or nothing if it has none."""
    rows = []
    for name, field in model.model_fields.items():
        default = "required" if field.is_required() else f"`{field.default}`"
        rows.append(f"| `{name}` | {default} | {field.description or ''} |")
    return "\n".join(["| option | default | |", "|---|---|---|", *rows, ""]) if rows else ""


def entries(catalogue: Catalogue) -> Iterable[str]:
    """A section for each built-in of a catalogue."""
    for entry in catalogue:
        if entry.provider.name != "dtool":
            continue
        thing = entry.load()
        yield f"### {entry.name}\n"
        yield thing.doc.replace("\n    ", "\n") + "\n"
        facts = [f"Source: {thing.cite}."] if thing.cite else []
        if entry.aliases:
            facts.append("Also found as " + ", ".join(f"`{alias}`" for alias in entry.aliases) + ".")
        for option, reason in getattr(thing, "breaks", {}).items():
            facts.append(f"`{option}` leaves the marginals on purpose: {reason}.")
        yield "\n".join(facts) + "\n"
        yield options(thing.model)


def samplers() -> str:
    """docs/samplers.md."""
    known = registry()
    parts = [NOTE, "# Samplers, schedules, spacings\n", "## Samplers\n", *entries(known.samplers)]
    parts += ["## Schedules\n", *entries(known.schedulers), "## Spacings\n", *entries(known.spacings)]
    return "\n".join(part for part in parts if part)


def main() -> int:
    """Write the files, or compare them; the exit code."""
    os.environ["DTOOL_NO_PLUGINS"] = "1"
    check = "--check" in sys.argv[1:]
    stale = []
    for name, text in (("commands.md", commands()), ("samplers.md", samplers())):
        path = DOCS / name
        if check and (not path.exists() or path.read_text(encoding="utf-8") != text):
            stale.append(name)
        elif not check:
            path.write_text(text, encoding="utf-8")
    if stale:
        sys.stderr.write(f"{', '.join(stale)} not in step with the code: run make docs\n")
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
