"""The largest of several deviations."""

from math import nan

from dtool.certify.result import largest


def test_the_largest_is_not_fooled():
    assert largest([1.0, nan]) == largest([nan, 1.0]) == largest([]) == float("inf")
    assert largest([1.0, 3.0, 2.0]) == 3.0
