"""Many samplers examined at once."""

import pytest

from dtool.certify.parallel import examine_all
from dtool.errors import UsageError


def test_many_are_examined_in_processes_of_their_own():
    found = dict(examine_all(["logsnr", "linear", "karras"], jobs=2))
    assert set(found) == {"logsnr", "linear", "karras"}
    assert {r.status for r in found["karras"]} == {"pass"}
    assert "fail" not in {r.status for results in found.values() for r in results}


def test_an_unknown_name_among_many_is_the_users_error():
    with pytest.raises(UsageError, match="there is no"):
        list(examine_all(["karras", "nonesuch", "linear"], jobs=2))
