"""Write what in the documentation comes from the code: commands.md, schedules.md, the table in models.md, samplers/.

`python docs/generate.py` writes them; with `--check` it only says whether they are in step, and exits 1 if not.
Measured figures, those behind ≈ and the curves of pictures, may then differ a little: they do between machines.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pages

from dtool.plugins.registry import Catalogue, get_registry

DOCS = Path(__file__).parent
COMMANDS = (
    "sample", "merge", "verify", "compare", "recommend", "fit", "model", "export",
    "bench", "train", "train-codec", "plan", "check", "schedulers", "samplers", "spacings", "guidances", "metrics",
    "evaluate", "likelihood", "forward", "plugins", "env",
)  # fmt: skip
NOTE = "<!-- Written by docs/generate.py; do not edit. -->\n"
SLACK, PIXELS = 0.11, 2.0  # of a slope, and of a place in a picture


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


def entries(catalogue: Catalogue) -> Iterable[str]:
    """A section for each built-in of a catalogue."""
    for entry in catalogue:
        thing = entry.load()
        yield f"### {entry.name}\n"
        yield thing.doc.replace("\n    ", "\n") + "\n"
        facts = [f"Source: {thing.cite}."] if thing.cite else []
        if entry.aliases:
            facts.append("Also found as " + ", ".join(f"`{alias}`" for alias in entry.aliases) + ".")
        yield "\n".join(facts) + "\n" if facts else ""
        yield pages.options(thing.model) if thing.model.model_fields else ""


def schedules() -> str:
    """docs/schedules.md."""
    known = get_registry()
    parts = [NOTE, "# Schedules, spacings and guidance\n", "## Schedules\n", *entries(known.schedulers)]
    parts += ["## Spacings\n", *entries(known.spacings), "## Guidance\n", *entries(known.guidances)]
    return "\n".join(part for part in parts if part)


def readers() -> str:
    """The table of built-in readers, within the marks of docs/models.md."""
    rows = ["| reader | what it opens | decodes alone |", "|---|---|---|"]
    for entry in get_registry().readers:
        thing = entry.load()
        rows.append(f"| `{entry.name}` | {entry.summary or thing.summary} | {'yes' if thing.open_codec else ''} |")
    rows.append("| (dtool) | its own .pt, .safetensors and .onnx, `package.module:factory`, closed forms | |")
    return "\n".join(rows)


def models() -> str:
    """docs/models.md, its hand-written part as it is."""
    text = (DOCS / "models.md").read_text(encoding="utf-8")
    return re.sub(
        r"(<!-- readers:[^\n]*-->\n).*?(<!-- end -->)", lambda m: f"{m[1]}{readers()}\n{m[2]}", text, flags=re.DOTALL
    )


def files() -> Iterator[tuple[str, str]]:
    """(path under docs/, text) of everything that is generated."""
    yield "commands.md", commands()
    yield "schedules.md", schedules()
    yield "models.md", models()
    for name, text in pages.files(NOTE):
        yield f"samplers/{name}", text


def in_step(text: str, other: str, svg: bool) -> bool:
    """Whether two files say the same; measured figures may differ a little."""
    pattern, slack = (r"\d+", PIXELS) if svg else (r"(?<=≈)\d+\.\d", SLACK)
    if re.sub(pattern, "", text) != re.sub(pattern, "", other):
        return False
    pairs = zip(re.findall(pattern, text), re.findall(pattern, other), strict=True)
    return all(abs(float(one) - float(two)) <= slack for one, two in pairs)


def main() -> int:
    """Write the files, or compare them; the exit code."""
    os.environ["DTOOL_NO_PLUGINS"] = "1"
    check = "--check" in sys.argv[1:]
    (DOCS / "samplers").mkdir(exist_ok=True)
    left = {f"samplers/{path.name}" for path in (DOCS / "samplers").iterdir()}
    stale = []
    for name, text in files():
        path = DOCS / name
        left.discard(name)
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        same = in_step(text, old, name.endswith(".svg"))
        if check and not same:
            stale.append(name)
        elif not check and not (same and old):
            path.write_text(text, encoding="utf-8")
    for name in sorted(left):
        stale.append(name)
        if not check:
            (DOCS / name).unlink()
    if check and stale:
        sys.stderr.write(f"{', '.join(stale)} not in step with the code: run make docs\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
