"""The conformance kit: the same examination for built-in samplers, for plugins, and for `dtool check`. numpy only."""

from dtool.certify.conformance import check, checks
from dtool.certify.result import CheckResult

__all__ = ["CheckResult", "check", "checks"]
