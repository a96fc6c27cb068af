"""A comparison as one HTML page that works offline: `render_page(document, images, traces)`."""

from dtool.report.html_page import render_page, require_packages

__all__ = ["render_page", "require_packages"]
