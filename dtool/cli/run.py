"""From arguments to an exit code: every way a command can end, as lines that a person can act on."""

from __future__ import annotations

import errno
import io
import os
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Any

from dtool.errors import DtoolError
from dtool.plain import line, reason
from dtool.version import __version__

FOR_PROGRAMMERS = (DeprecationWarning, PendingDeprecationWarning, ResourceWarning, ImportWarning, SyntaxWarning)


def run(argv: list[str]) -> int:
    """Run the command that `argv` names; see `dtool.cli.main` for the exit codes."""
    from dtool.plugins.guard import own_process

    with own_process():
        return _run(argv)


def _run(argv: list[str]) -> int:
    own = argv[: argv.index("--")] if "--" in argv else argv
    if "--no-plugins" in own:
        from dtool.plugins.loader import disable_all

        disable_all()
        argv = [word for word in own if word != "--no-plugins"] + argv[len(own) :]
    if argv[:1] == ["--version"]:
        return _guarded(lambda: sys.stdout.write(f"dtool {__version__}\n") and None)

    def command() -> object:
        from dtool.cli.app import app

        return app()(argv or ["--help"], prog_name="dtool", standalone_mode=False)

    return _guarded(command)


def _guarded(command: Callable[[], object]) -> int:
    """Run `command`; whatever it raises becomes an exit code and one line of cause, one of remedy, on stderr."""
    _buffer_stdout()
    out, err = sys.stdout, sys.stderr
    with warnings.catch_warnings():
        warnings.showwarning = _Warnings()
        try:
            result = command()
            sys.stdout.flush()
        except KeyboardInterrupt:
            return _said("interrupted", "", 130)
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
            return _failed(error)
    code = result if isinstance(result, int) else 0
    return _said("interrupted", "", code) if code == 130 else code


def _failed(error: Exception) -> int:
    """Say what went wrong and what to do about it; returns the exit code."""
    if isinstance(error, DtoolError):
        return _said(str(error), error.hint, error.exit_code)
    if hasattr(error, "format_message"):  # typer's own errors; their classes have no public name
        from dtool.cli.usage import explained

        return _said(*explained(error), 2)
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return _said(f"{where}{error.strerror}", _remedy(error), 1)
    if _lacks_memory(error):
        return _said("there is not enough memory", "ask for fewer images, or a smaller --batch-size", 1)
    cause = f"internal error ({reason(error)})"
    return _said(cause, "run it again with DTOOL_DEBUG=1, and report what it prints with the output of: dtool env", 1)


def _lacks_memory(error: Exception) -> bool:
    """Whether memory was not to be had: PyTorch says so in an error of its own, on the CPU in words alone."""
    words = ("can't allocate memory", "not enough memory", "out of memory")
    told = isinstance(error, RuntimeError) and any(each in str(error) for each in words)
    return told or isinstance(error, MemoryError)


def _remedy(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "free some space there, or write somewhere else"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "choose a file that you may read and write"
    return "check the path"


def _said(cause: str, hint: str, code: int) -> int:
    """Print `error: cause` and `hint: remedy`, each on one line."""
    sys.stderr.write(f"{_painted('error:', '1;31')} {line(cause)}\n")
    if hint:
        sys.stderr.write(f"{_painted('hint:', '36')} {line(hint)}\n")
    return code


class _Warnings:
    """Shows a warning that is meant for the user as one line, once; those for programmers stay silent."""

    def __init__(self) -> None:
        self.shown: set[str] = set()

    def __call__(self, message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        text = line(message)
        if text in self.shown or issubclass(category, FOR_PROGRAMMERS):
            return
        self.shown.add(text)
        sys.stderr.write(f"{_painted('warning:', '33')} {text}\n")


def _painted(word: str, colour: str) -> str:
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


def _forget_stdout() -> None:
    """The reader has gone (`dtool plan … | head`): let the interpreter's last flush go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, sys.stdout.fileno())
    except (OSError, ValueError):  # stdout is no file, as in tests
        return
    finally:
        os.close(nowhere)
