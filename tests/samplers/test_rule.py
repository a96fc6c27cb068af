"""What a rule is: its function, and what it declares."""

import pytest

from dtool.errors import UsageError
from dtool.plugins.registry import get_registry
from dtool.samplers import get_sampler as named
from dtool.samplers.rule import sampler as rule_of


def test_a_rule_takes_now_and_to():
    with pytest.raises(UsageError, match=r"its function takes \(x, t\)"):
        rule_of("other", order=1)(lambda x, t: x * t)


def test_who_corrects_later():
    declared = {e.name for e in get_registry().samplers if named(e.name).has_corrector}
    assert declared == {"unipc", "sa-solver", "dpm-fast", "dpmpp-singlestep"}
    assert not named("unipc:corrector=false").has_corrector
    assert not named("sa-solver:corrector=0").has_corrector
