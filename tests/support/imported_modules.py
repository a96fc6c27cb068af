"""Which modules a command leaves imported."""

from __future__ import annotations

import subprocess
import sys

from tests.support.commandline import plain_environment


def list_modules(*args):
    """The modules that `dtool args…` leaves imported."""
    script = f"import sys; from dtool.cli import main; main({list(args)!r}); print('\\n' + ' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=plain_environment(), timeout=120
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())
