"""A copy of the tree, harmed or not, and runs of pytest in it that end, with all that they have started."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.fault import Fault
from tests.support.places import ROOT

HERE = Path(__file__).resolve().parent
PACKAGE, SHARED = "dtool", "shared"
EXCLUDED = (".git", ".venv*", "__pycache__", ".*_cache", ".hypothesis", "*.egg-info", "build", "dist", "demo-out")
PYTEST = ("-m", "pytest", "-x", "-q", "-p", "no:cacheprovider")
PASSED, NONE_SELECTED, STOPPED = 0, 5, -1000
MAX_SECONDS = 4 * 3600.0  # seconds of a run without a fault
ALONE = f"""# Every other tree of the package is taken off the path: that of an editable installation, say.
import sys
from pathlib import Path

OTHERS = [p for p in sys.path if Path(p, "pyproject.toml").is_file() and Path(p, {PACKAGE!r}).is_dir()]
sys.path[:] = [p for p in sys.path if p not in OTHERS or p == str(Path(__file__).parents[1] / "tree")]
"""

_running: set[int] = set()  # the process groups that are at work
_over = threading.Event()


@dataclass(frozen=True)
class Outcome:
    """One run of pytest: its exit code, STOPPED if it took too long; the first failed test; the end of its output."""

    code: int
    by: str
    seconds: float
    output: str


@contextlib.contextmanager
def make_copy(fault: Fault | None = None) -> Iterator[Path]:
    """A folder with the tree in `tree`, harmed by the fault if there is one, and what the tree finds beside it."""
    with tempfile.TemporaryDirectory(prefix="m-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        shutil.copytree(ROOT, folder / "tree", symlinks=True, ignore=_list_excluded)
        (folder / "t").mkdir()
        (folder / "site").mkdir()
        (folder / "site" / "sitecustomize.py").write_text(ALONE, encoding="utf-8")
        if (ROOT.parent / SHARED).exists():
            (folder / SHARED).symlink_to((ROOT.parent / SHARED).resolve())
        if fault is not None:
            fault.apply(folder / "tree")
        yield folder


def _list_excluded(folder: str, names: list[str]) -> set[str]:
    """What is not copied: environments, caches, and these faults, whose own test would notice every one of them."""
    excluded = shutil.ignore_patterns(*EXCLUDED)(folder, names)
    return excluded | {name for name in names if Path(folder, name) == HERE}


def make_environment(folder: Path) -> dict[str, str]:
    """This environment, as `make test` has it: with the copy, no other tree, and temporary files in the folder."""
    path = [str(folder / "site"), str(folder / "tree"), *filter(None, [os.environ.get("PYTHONPATH")])]
    changes = {"PYTHONPATH": os.pathsep.join(path), "TMPDIR": str(folder / "t"), "OMP_NUM_THREADS": "1"}
    return os.environ | changes


def require_own_copy() -> None:
    """Exit unless a process that is started beside a copy imports the package from there, and from nowhere else."""
    with make_copy() as folder:
        code = f"import sys, {PACKAGE}; print({PACKAGE}.__file__, *sys.path, sep=chr(10))"
        process = subprocess.run(
            [sys.executable, "-c", code], cwd=folder, env=make_environment(folder), capture_output=True, text=True
        )
        module, *path = process.stdout.splitlines() or [""]
        if not Path(module).is_relative_to(folder / "tree") or str(ROOT) in path:
            sys.exit(f"the copy's {PACKAGE} is not the one that is imported: {process.stdout or process.stderr}")


def run_pytest(folder: Path, arguments: Iterable[str], limit: float) -> Outcome:
    """pytest in the copy, stopped after `limit` seconds; raises RuntimeError once `end_all` was called."""
    if _over.is_set():
        raise RuntimeError("it was interrupted")
    started = time.monotonic()
    with (folder / "output").open("w+", encoding="utf-8", errors="replace") as file:
        process = subprocess.Popen(
            [sys.executable, *PYTEST, *arguments],
            cwd=folder / "tree", env=make_environment(folder), stdin=subprocess.DEVNULL, stdout=file,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        _running.add(process.pid)
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            code = STOPPED
        finally:
            _end(process.pid)
            process.wait()
            _running.discard(process.pid)
        file.seek(0)
        text = file.read()
    return Outcome(code, find_first_failure(text), time.monotonic() - started, text[-2000:])


def find_first_failure(text: str) -> str:
    """The test that pytest's summary names first; "" if it names none."""
    match = re.search(r"^(?:FAILED|ERROR) (\S.*?)(?: - .*)?$", text, re.MULTILINE)
    return match[1] if match else ""


def end_all() -> None:
    """End what runs now, and let nothing begin."""
    _over.set()
    for group in list(_running):
        _end(group)


def _end(group: int) -> None:
    """End the processes of a group that we started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


class Unharmed:
    """The outcomes of tests without a fault: each selection is run once, whoever asks first. `options`: pytest's."""

    def __init__(self, options: tuple[str, ...]) -> None:
        self._options = options
        self._known: dict[tuple[str, ...], Future[Outcome]] = {}
        self._lock = threading.Lock()

    def __call__(self, tests: tuple[str, ...]) -> Outcome:
        with self._lock:
            first = tests not in self._known
            future = self._known.setdefault(tests, Future())
        if first:
            try:
                with make_copy() as folder:
                    future.set_result(run_pytest(folder, (*self._options, *tests), MAX_SECONDS))
            except BaseException as error:
                future.set_exception(error)
                raise
        return future.result()
