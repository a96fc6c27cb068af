"""A page of the report that several test files read."""

from __future__ import annotations

import pytest

from dtool.report import render_page
from tests.support.report_pages import draw_images, draw_traces, make_small_document


@pytest.fixture(autouse=True, scope="session")
def require_extra():
    """Skip the tests of the report where its packages are not installed."""
    pytest.importorskip("altair")
    pytest.importorskip("jinja2")


@pytest.fixture(scope="session")
def page(require_extra):
    """(document, images, traces, HTML) of a small comparison."""
    document = make_small_document()
    images = draw_images(document)
    traces = draw_traces(document, images)
    return document, images, traces, render_page(document, images, traces)
