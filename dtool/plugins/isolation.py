"""Strangers' code, run so that it can hurt only itself: what it raises is told, what it prints is no data of ours."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dtool.errors import DtoolError, PluginError
from dtool.util.text import format_exception, to_line

ARITHMETIC_SECONDS, IMPORT_SECONDS = (
    30.0,
    180.0,
)  # seconds that may pass in a rule, schedule or spacing, and in an import
PYDANTIC_PLUGINS, ALL = "PYDANTIC_DISABLE_PLUGINS", "__all__"
UNTOUCHED = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}  # NumPy's errors as it begins


@dataclass(frozen=True)
class Origin:
    """Where a registered thing comes from: what kind of thing it is, its name, its package and that one's version."""

    kind: str
    name: str
    package: str
    version: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name} of {self.package} {self.version}"

    @property
    def is_builtin(self) -> bool:
        """Whether dtool itself made it."""
        return self.package == "dtool"

    @property
    def remedy(self) -> str:
        """What can be done about a fault in it."""
        return f"upgrade or uninstall {self.package}, or tell its authors"


class TooLongError(BaseException):
    """Raised in a stranger's code that has used up its time; no `except Exception` of its own catches it."""


_strict = False  # whether the process is dtool's own
_timed_out: set[tuple[Origin | None, str]] = set()  # what has not ended, and is not begun again


@contextmanager
def claim_process() -> Iterator[None]:
    """While this holds the process is dtool's: code that no package registered is guarded too, and descriptor 1.

    pydantic looks for no plugins of its own then, which would read what every installed package offers, unless the
    environment says which it is to leave out.
    """
    global _strict
    before, _strict = _strict, True
    _timed_out.clear()
    is_ours = os.environ.setdefault(PYDANTIC_PLUGINS, ALL) is ALL
    try:
        yield
    finally:
        _strict = before
        if is_ours:
            os.environ.pop(PYDANTIC_PLUGINS, None)


def is_own_process() -> bool:
    """Whether `claim_process` holds."""
    return _strict


@contextmanager
def guard_code(
    origin: Origin | None, what: str = "", *, seconds: float = 0.0, error: type[DtoolError] = PluginError
) -> Iterator[None]:
    """Run a stranger's code: whatever it raises becomes `error`, in one line with its package.

    On the main thread printing goes to stderr; warning filters, NumPy's error state, random states, streams and the
    working directory are afterwards what they were. A real Ctrl-C goes through; a KeyboardInterrupt that the code
    raises itself does not.
    origin: None for code that no package registered, which is guarded only in a process of dtool's own.
    what: said of the code if `origin` is None, or after it, such as "cannot be loaded". seconds: the most that it may
    take, on the main thread; 0 for no limit.
    """
    if (origin is None and not _strict) or (origin is not None and origin.is_builtin):
        yield
        return
    who = " ".join(filter(None, (str(origin or ""), what)))
    remedy = "mend it" if origin is None else origin.remedy
    if seconds and (origin, what) in _timed_out:
        raise error(f"{who} (it did not end)", remedy)
    with _preserve_process_state(), _catch_interrupt() as pressed, _limit_time(seconds):
        try:
            yield
        except DtoolError as failure:
            raise _attribute_error(failure, origin) from failure.__cause__
        except TooLongError:
            _timed_out.add((origin, what))
            raise error(f"{who} (it has not ended after {seconds:g} seconds)", remedy) from None
        except BaseException as failure:
            if isinstance(failure, KeyboardInterrupt) and pressed:
                raise
            raise error(f"{who} ({format_exception(failure)})", remedy) from failure


def _attribute_error(failure: DtoolError, origin: Origin | None) -> DtoolError:
    """The same error, with the package's name if it does not say it."""
    if origin is None or origin.kind == "plugin" or origin.package in str(failure):
        return failure
    failure.args = (f"{to_line(failure)} ({origin.package} {origin.version})",)
    return failure


@contextmanager
def _preserve_process_state() -> Iterator[None]:
    """What a process has once is afterwards as it was before, and stdout is closed to whoever prints meanwhile.

    On the main thread: two threads at once could not both put back what they found.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    streams = sys.stdout, sys.stderr, sys.stdin
    chance, hook = sys.modules.get("random"), sys.excepthook
    state = chance.getstate() if chance else None
    numbers = _get_numpy_state()
    try:
        folder: Path | None = Path.cwd()
    except OSError:
        folder = None
    with ExitStack() as stack:
        stack.enter_context(_redirect_stdout())
        stack.enter_context(redirect_stdout(sys.stderr))
        try:
            with warnings.catch_warnings():
                yield
        finally:
            sys.stdout, sys.stderr, sys.stdin = streams
            sys.excepthook = hook
            if chance:
                chance.setstate(state)
            _restore_numpy(numbers)
            with suppress(OSError):
                if folder is not None and Path.cwd() != folder:
                    os.chdir(folder)


def _get_numpy_state() -> tuple[Any, Any]:
    """NumPy's error state, and that of its global generator; None for what is not imported, and is not for this."""
    numpy, chance = sys.modules.get("numpy"), sys.modules.get("numpy.random")
    errors = numpy.geterr() if numpy is not None and hasattr(numpy, "geterr") else None
    return errors, chance.get_state() if chance is not None and hasattr(chance, "get_state") else None


def _restore_numpy(state: tuple[Any, Any]) -> None:
    errors, random_state = state
    numpy, chance = sys.modules.get("numpy"), sys.modules.get("numpy.random")
    if numpy is not None and hasattr(numpy, "seterr"):  # else half of it was imported
        numpy.seterr(**errors or UNTOUCHED)
    if chance is not None and hasattr(chance, "seed"):
        if random_state is not None:
            chance.set_state(random_state)
        else:  # it was imported meanwhile, and may have been seeded
            chance.seed()


@contextmanager
def _redirect_stdout() -> Iterator[None]:
    """In a process of dtool's own, what is written to file descriptor 1 past Python's streams goes to 2 as well."""
    if not (_strict and threading.current_thread() is threading.main_thread()):
        yield
        return
    try:
        where = sys.stdout.fileno()
        sys.stdout.flush()
        saved = os.dup(where)
    except (OSError, ValueError, io.UnsupportedOperation, AttributeError):
        yield
        return
    try:
        os.dup2(2, where)
        yield
    finally:
        os.dup2(saved, where)
        os.close(saved)


@contextmanager
def _catch_interrupt() -> Iterator[list[bool]]:
    """A list that is no longer empty once Ctrl-C has been pressed; elsewhere than on the main thread it never is."""
    pressed: list[bool] = []
    if threading.current_thread() is not threading.main_thread() or not callable(signal.getsignal(signal.SIGINT)):
        yield pressed
        return
    before: Any = signal.getsignal(signal.SIGINT)

    def handle(number: int, frame: Any) -> None:
        pressed.append(True)
        before(number, frame)

    signal.signal(signal.SIGINT, handle)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _limit_time(seconds: float) -> Iterator[None]:
    """Raise TooLongError in what takes longer, once a second until it gives up; not where another uses the alarm."""
    alarm = getattr(signal, "SIGALRM", None)
    main = threading.current_thread() is threading.main_thread()
    if not seconds or alarm is None or not main or signal.getsignal(alarm) is not signal.SIG_DFL:
        yield
        return

    def ring(*_: object) -> None:
        raise TooLongError

    signal.signal(alarm, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(alarm, signal.SIG_DFL)
