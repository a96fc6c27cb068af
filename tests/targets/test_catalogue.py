"""The names of targets, and what is refused."""

import pytest

from dtool.errors import UsageError
from dtool.targets import is_target, list_targets, target
from tests.support.target_draws import SMALL_TARGETS


def test_the_catalogue():
    names = [maker.name for maker in list_targets()]
    assert names == ["gaussian", "gmm", "two-diracs", "sphere", "digits-gmm"]
    assert all(maker.summary.endswith(".") for maker in list_targets())
    assert all(is_target(name) and is_target(f"{name}:d=2") for name in names)
    assert not is_target("model.pt")
    assert not is_target("gauss")
    for token in SMALL_TARGETS:
        assert target(target(token).token).token == target(token).token
    assert target("gmm:d=64").shape == (64,)
    with pytest.raises(UsageError, match="there is no target 'gausian'") as error:
        target("gausian")
    assert "gaussian" in error.value.hint
    for wrong in ("gmm:d=0", "gmm:q=1", "sphere:d=1", "gaussian:condition=2", "two-diracs:share=1"):
        with pytest.raises(UsageError):
            target(wrong)
