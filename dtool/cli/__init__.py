"""The command line: `dtool …`. One command a file, thin; everything heavy is imported inside a command."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code.

    0: done. 1: it failed. 2: wrong usage, or an unknown name. 3: the result fails the bar that was asked for.
    130: interrupted. `argv` defaults to the process's own arguments.
    """
    try:
        from dtool.cli.run import run

        return run(list(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:  # so early that nothing has begun
        return 130
