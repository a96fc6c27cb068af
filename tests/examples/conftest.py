"""A browser, and servers for its pages."""

from __future__ import annotations

import pytest


@pytest.fixture
def serve():
    """serve(folder): its address, and a function that ends the server."""
    from tests.support.web_pages import Server

    servers = []

    def start(folder):
        server = Server(folder)
        servers.append(server)
        return server.address, lambda: end(server)

    def end(server):
        if server in servers:
            servers.remove(server)
            server.end()

    yield start
    while servers:
        end(servers[-1])


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A browser without a window."""
    pytest.importorskip("fcntl", reason="the browser is driven through a pipe, as on Linux and macOS")
    from tests.support.browser import Browser
    from tests.support.web_pages import require_browser

    made = Browser(require_browser(), tmp_path_factory.mktemp("profile"))
    yield made
    made.close()
