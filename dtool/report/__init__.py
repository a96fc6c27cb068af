"""A comparison as one HTML page that works offline: `page(document, images, traces)`."""

from dtool.report.page import page, require_packages

__all__ = ["page", "require_packages"]
