"""The certificates of a recipe with guidance are there for it alone, each with a docstring and a bar in words."""

import dtool
from dtool.certify.guided_certificates import GUIDED_CERTIFICATES


def test_they_come_after_those_of_the_sampler():
    plain = [one.__name__ for one in dtool.certify.checks("ddim")]
    found = list(dtool.certify.checks("ddim~3"))
    assert [one.__name__ for one in found] == [*plain, *GUIDED_CERTIFICATES]
    assert all(one.__doc__ for one in found)
    for one in found[-3:-1]:
        result = one()
        assert "cfg:scale=3.0" in result.detail
        assert "at most" in result.detail
