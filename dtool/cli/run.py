"""From arguments to an exit code: every way a command can end, as lines that a person can act on."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Any

from dtool.errors import DtoolError
from dtool.util.text import format_exception, to_line
from dtool.version import __version__

LONGEST = 1000  # characters of a line: what was typed may be longer
FOR_PROGRAMMERS = (DeprecationWarning, PendingDeprecationWarning, ResourceWarning, ImportWarning, SyntaxWarning)


def run(argv: list[str]) -> int:
    """Run the command that `argv` names; see `dtool.cli.main` for the exit codes."""
    from dtool.plugins.isolation import claim_process

    hold_standard_streams()
    with claim_process():
        return _run(argv)


def _run(argv: list[str]) -> int:
    own = argv[: argv.index("--")] if "--" in argv else argv
    if "--no-plugins" in own:
        from dtool.plugins.loader import disable_all

        disable_all()
        argv = [word for word in own if word != "--no-plugins"] + argv[len(own) :]
    if argv[:1] == ["--version"]:
        return _run_guarded(lambda: sys.stdout.write(f"dtool {__version__}\n") and None)

    def command() -> object:
        from dtool.cli.app import build_app

        return build_app()(argv or ["--help"], prog_name="dtool", standalone_mode=False)

    return _run_guarded(command)


def _run_guarded(command: Callable[[], object]) -> int:
    """Run `command`; whatever it raises becomes an exit code and one line of cause, one of remedy, on stderr."""
    _buffer_stdout()
    out, err = sys.stdout, sys.stderr
    with warnings.catch_warnings():
        warnings.showwarning = _WarningPrinter()
        try:
            result = command()
            sys.stdout.flush()
        except KeyboardInterrupt:
            return _print_error("interrupted", "", 130)
        except SystemExit as stop:
            if sys.stdout is not out:  # typer met a broken pipe, and put wrappers there
                sys.stdout, sys.stderr = out, err
                _forget_stdout()
                return 0
            return stop.code if isinstance(stop.code, int) else 1
        except BrokenPipeError:
            _forget_stdout()
            return 0
        except Exception as error:
            if os.environ.get("DTOOL_DEBUG"):
                traceback.print_exc()
            return _report_failure(error)
        finally:
            _drain()
    code = result if isinstance(result, int) else 0
    return _print_error("interrupted", "", code) if code == 130 else code


def _report_failure(error: Exception) -> int:
    """Say what went wrong and what to do about it; returns the exit code."""
    if isinstance(error, DtoolError):
        return _print_error(str(error), error.hint, error.exit_code)
    if hasattr(error, "format_message"):  # typer's own errors; their classes have no public name
        from dtool.cli.usage import explain_error

        return _print_error(*explain_error(error), 2)
    if is_from_user_code(error):
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return _print_error(f"the network's own code failed ({text})", "mend it; x is (B, *shape), t is (B,)", 1)
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return _print_error(f"{where}{error.strerror}", _suggest_remedy(error), 1)
    if _is_memory_error(error):
        return _print_error("there is not enough memory", "ask for fewer images, or a smaller --batch-size", 1)
    cause = f"internal error ({format_exception(error)})"
    return _print_error(
        cause, "run it again with DTOOL_DEBUG=1, and report what it prints with the output of: dtool env", 1
    )


def _is_memory_error(error: Exception) -> bool:
    """Whether memory was not to be had: PyTorch says so in an error of its own, on the CPU in words alone."""
    words = ("can't allocate memory", "not enough memory", "out of memory")
    is_from_torch = isinstance(error, RuntimeError) and any(each in str(error) for each in words)
    return is_from_torch or isinstance(error, MemoryError)


def _suggest_remedy(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "free some space there, or write somewhere else"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "choose a file that you may read and write"
    if error.errno == errno.EBADF:
        return "let it go to a file or a terminal: leave out >&-"
    return "check the path"


def _print_error(cause: str, hint: str, code: int) -> int:
    """Print `error: cause` and `hint: remedy`, each on one line; where stderr cannot be written, nobody is told."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"{_paint('error:', '1;31')} {_to_line(cause)}\n")
        if hint:
            sys.stderr.write(f"{_paint('hint:', '36')} {_to_line(hint)}\n")
    return code


def _to_line(text: str) -> str:
    """`text` in one line that a terminal shows and any encoding takes."""
    text = to_line(text)
    if len(text) > LONGEST:
        text = f"{text[: LONGEST - 200]} … {text[-200:]}"
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def is_from_user_code(error: BaseException) -> bool:
    """Whether an error was raised by the code of a user's network, which `dtool.run.returned_arrays` has marked so."""
    from dtool.run.returned_arrays import OWN

    return OWN in getattr(error, "__notes__", ())


class _WarningPrinter:
    """Shows a warning that is meant for the user as one line, once; those for programmers stay silent."""

    def __init__(self) -> None:
        self.shown: set[str] = set()

    def __call__(self, message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        text = to_line(message)
        if text in self.shown or issubclass(category, FOR_PROGRAMMERS):
            return
        self.shown.add(text)
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(f"{_paint('warning:', '33')} {_to_line(text)}\n")


def _paint(word: str, colour: str) -> str:
    """`word` in a colour, on a terminal that wants one."""
    if not sys.stderr.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return word
    return f"\x1b[{colour}m{word}\x1b[0m"


def _buffer_stdout() -> None:
    """With PYTHONUNBUFFERED Python writes as much as a full disk takes, and forgets the rest: its buffers do not.

    What stdout's encoding has no code for, such as a file's name that is no text, is written as an escape.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    raw = getattr(sys.stdout, "buffer", None)
    if isinstance(raw, io.RawIOBase):
        whole = io.BufferedWriter(raw)
        sys.stdout = io.TextIOWrapper(whole, sys.stdout.encoding, sys.stdout.errors, line_buffering=True)


def hold_standard_streams() -> None:
    """Let the numbers 0, 1 and 2 be taken, and something be there to write to, whatever the shell has closed.

    Otherwise the first file that is opened would be stdout for everything that prints.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)  # takes the lowest that is free
    if sys.stdout is None:
        sys.stdout = _ClosedStdout()
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - until the process ends


class _ClosedStdout(io.TextIOBase):
    """A stdout that was closed before the start: what is written to it is lost, which must be told."""

    def write(self, text: str) -> int:
        """Raise OSError unless there is nothing to write."""
        if text:
            raise OSError(errno.EBADF, "stdout is closed")
        return 0

    def writable(self) -> bool:
        """It looks like any other."""
        return True


def _drain() -> None:
    """Let nothing be left that the interpreter's last flush would stumble over, which exits with 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            _forget(stream)


def _forget_stdout() -> None:
    """The reader has gone (`dtool plan … | head`): let the interpreter's last flush go nowhere."""
    _forget(sys.stdout)


def _forget(stream: Any) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    except (OSError, ValueError):  # it is no file, as in tests
        return
    finally:
        os.close(nowhere)
