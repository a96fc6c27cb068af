"""Which tests are run for a fault, the nearest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.fault import Fault
from tests.support.places import ROOT

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Stage:
    """`tests`: files and folders that are run, () for all. `done`: files among them that were run before."""

    name: str
    tests: tuple[str, ...]
    done: tuple[str, ...] = ()


def list_tests(paths: Sequence[str] = ()) -> list[str]:
    """The test files in these places, all by default; those of the faults themselves are left out."""
    files = [path.relative_to(ROOT) for path in sorted((ROOT / "tests").rglob("test_*.py")) if HERE not in path.parents]
    places = [Path(path.partition("::")[0]) for path in paths]
    return [str(file) for file in files if not places or any(place in (file, *file.parents) for place in places)]


def make_stages(fault: Fault, tests: Sequence[str], hints: Sequence[str], paths: Sequence[str]) -> Iterator[Stage]:
    """The stages of a fault, each without the files of those before: hints, the nearest, the room, all in `paths`."""
    room = Path("tests", Path(fault.file).parts[1])
    chosen = {
        "hinted": [file for file in hints if file in tests],
        "nearest": find_nearest(fault.file, tests),
        "room": [file for file in tests if room in Path(file).parents],
    }
    done: list[str] = []
    for name, files in chosen.items():
        rest = tuple(file for file in files if file not in done)
        if rest:
            yield Stage(name, rest)
        done += rest
    yield Stage("all", tuple(paths), tuple(done))


def find_nearest(file: str, tests: Sequence[str]) -> list[str]:
    """The tests of a module of dtool: `test_<module>.py` at its place in tests/, and `test_<module>_….py` beside it.

    The certificates are tests of each sampler, too.
    """
    _, *rooms, module = Path(file).with_suffix("").parts
    folder, name = Path("tests", *rooms), f"test_{module}"
    beside = [test for test in tests if Path(test).parent == folder]
    nearest = [test for test in beside if Path(test).stem == name or Path(test).stem.startswith(f"{name}_")]
    certificates = [test for test in tests if rooms[:1] == ["samplers"] and test.startswith("tests/certify/")]
    return [*sorted(nearest, key=len), *certificates]
