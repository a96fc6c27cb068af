"""Does some test notice? Each fault is put into a copy of the tree, and tests run there until one fails.

    python -m tests.mutants.run [--only NAME …] [--workers N] [--marker EXPR] [--json OUT] [-- PYTEST ARGUMENTS]

First come the module's own tests (of a sampler the certificates, too), then those of its room, then all that the
arguments select: of each, what `make test` runs. `--marker ''` runs what `make test-all` does. What fails without the
fault too finds nothing: each stage is run on an unharmed copy before, once.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.mutants.fault import Fault
from tests.mutants.faults import FAULTS
from tests.mutants.stages import list_tests, make_stages
from tests.mutants.trial import (
    NONE_SELECTED,
    PASSED,
    STOPPED,
    Outcome,
    Unharmed,
    end_all,
    make_copy,
    require_own_copy,
    run_pytest,
)
from tests.support.places import ROOT

SLOWDOWN = 3  # times what a stage takes without the fault: a stage that takes longer hangs


@dataclass(frozen=True)
class Settings:
    """What all faults have in common. `options`, `paths`: pytest's. `hints`: files to begin with, by a fault's name."""

    options: tuple[str, ...]
    paths: tuple[str, ...]
    timeout: float
    hints: dict[str, list[str]]


@dataclass(frozen=True)
class Verdict:
    """What became of a fault: `by` which test it was found, in which stage; `note`: what else should be known."""

    name: str
    file: str
    wrong: str
    is_found: bool
    by: str
    stage: str
    seconds: float
    note: str

    def __str__(self) -> str:
        result = "found" if self.is_found else "NOT FOUND"
        remark = "; ".join(filter(None, (self.by, self.note)))
        return f"{self.name:38} {result:9} {self.seconds:6.0f} s  {remark}".rstrip()


def judge(fault: Fault, settings: Settings, unharmed: Unharmed) -> Verdict:
    """Run the stages one after another, until a test fails in one that passes without the fault."""
    spent, notes = 0.0, []
    tests, hints = list_tests(settings.paths), settings.hints.get(fault.name, [])
    with make_copy(fault) as folder:
        for stage in make_stages(fault, tests, hints, settings.paths):
            before = unharmed(stage.tests)
            if before.code == NONE_SELECTED:
                continue
            if before.code != PASSED:
                notes.append(f"{stage.name}: fails without the fault too, in {before.by or before.output[-200:]!r}")
                continue
            arguments = (*settings.options, *stage.tests, *(f"--ignore={file}" for file in stage.done))
            outcome = run_pytest(folder, arguments, max(settings.timeout - spent, SLOWDOWN * before.seconds))
            spent += outcome.seconds
            if outcome.code not in (PASSED, NONE_SELECTED):
                by, note = _describe_outcome(outcome)
                return _make_verdict(fault, True, by, stage.name, spent, [*notes, note])
    return _make_verdict(fault, False, "", "", spent, notes)


def _describe_outcome(outcome: Outcome) -> tuple[str, str]:
    """(test, note) of a run that did not pass."""
    if outcome.code == STOPPED:
        return "", f"it hangs: stopped after {outcome.seconds:.0f} s"
    return outcome.by, "" if outcome.by else f"pytest ended with {outcome.code}: {outcome.output[-200:]!r}"


def _make_verdict(fault: Fault, is_found: bool, by: str, stage: str, seconds: float, notes: Sequence[str]) -> Verdict:
    note = "; ".join(filter(None, notes))
    return Verdict(fault.name, fault.file, fault.wrong, is_found, by, stage, round(seconds, 1), note)


def judge_all(faults: Sequence[Fault], settings: Settings, workers: int, out: Path | None) -> list[Verdict]:
    """The verdicts, printed and written as they come."""
    unharmed = Unharmed(settings.options)
    verdicts: list[Verdict] = []
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(judge, fault, settings, unharmed) for fault in faults]
        try:
            for future in as_completed(futures):
                verdicts.append(future.result())
                print(verdicts[-1], flush=True)
                if out is not None:
                    text = json.dumps([asdict(verdict) for verdict in verdicts], indent=1, ensure_ascii=False)
                    out.write_text(text + "\n", encoding="utf-8")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            end_all()
            raise
    return verdicts


def main(words: Sequence[str]) -> int:
    """Print the table and the share; 1 if that is below --at-least."""
    cut = words.index("--") if "--" in words else len(words)
    options, rest = make_parser().parse_args(words[:cut]), words[cut + 1 :]
    unknown = set(options.only or ()) - {fault.name for fault in FAULTS}
    if unknown:
        sys.exit(f"there is no fault {', '.join(sorted(unknown))}")
    paths = tuple(word for word in rest if not word.startswith("-") and (ROOT / word.partition("::")[0]).exists())
    arguments = (*(["-m", options.marker] if options.marker else []), *(word for word in rest if word not in paths))
    hints = {} if options.hints is None else json.loads(options.hints.read_text(encoding="utf-8"))
    require_own_copy()
    chosen = [fault for fault in FAULTS if not options.only or fault.name in options.only]
    verdicts = judge_all(chosen, Settings(arguments, paths, options.timeout, hints), options.workers, options.json)
    count = sum(verdict.is_found for verdict in verdicts)
    print(f"\n{count} of {len(verdicts)} faults were found: {count / len(verdicts):.1%}")
    for verdict in verdicts:
        if not verdict.is_found:
            print(f"  {verdict.name} ({verdict.file}): {verdict.wrong}")
    return int(count / len(verdicts) < options.at_least)


def make_parser() -> argparse.ArgumentParser:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these faults alone")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="faults that are tried at a time")
    marker = "which tests are run: pytest's -m [default: those of make test]"
    parser.add_argument("--marker", default="not whole", metavar="EXPR", help=marker)
    hangs = "per fault, which hangs if it takes longer, and three times as long as a stage does without it"
    parser.add_argument("--timeout", type=float, default=900.0, metavar="SECONDS", help=hangs)
    parser.add_argument("--at-least", type=float, default=0.0, metavar="SHARE", help="exit with 1 if fewer are found")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the verdicts into this file, as they come")
    parser.add_argument("--hints", type=Path, metavar="FILE", help="test files to begin with: {name: [file, …]}")
    return parser


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the copies go and the runs end
    sys.exit(main(sys.argv[1:]))
