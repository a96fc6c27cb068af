"""The page of examples/web: building it, and what it says to a test."""

from __future__ import annotations

import functools
import http.server
import importlib.util
import threading
from pathlib import Path
from typing import Any

import pytest

import dtool
from tests.support import browser
from tests.support.places import EXAMPLES

DRAWN = "document.getElementById('numbers')?.textContent"
ERROR = "!document.getElementById('error').hidden && document.getElementById('error').textContent"


def load_builder() -> Any:
    """The build script as a module."""
    spec = importlib.util.spec_from_file_location("web_build", EXAMPLES / "web" / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def require_browser() -> str:
    """The browser's program; skips where there is none."""
    program = browser.find()
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(browser.NAMES)} is installed")
    return program


def build_site(folder: Path, *args: Any, **options: Any) -> Path:
    """The folder, built with these arguments; skips without a browser, or if npm gives nothing."""
    require_browser()
    try:
        load_builder().build(folder, *args, check=False, **options)
    except dtool.DtoolError as error:
        if str(error).startswith("npm "):
            pytest.skip(str(error))
        raise
    return folder


class Server:
    """A folder, served on a free port; `address` ends in a slash."""

    def __init__(self, folder: Path) -> None:
        handler = functools.partial(_Quiet, directory=str(folder))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever).start()

    def end(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Say nothing."""
