"""The conformance kit: the same examination for built-in samplers, for plugins, and for `dtool check`. numpy only."""

from dtool.testing.check import check, checks
from dtool.testing.result import CheckResult

__all__ = ["CheckResult", "check", "checks"]
