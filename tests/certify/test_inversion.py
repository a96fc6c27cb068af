"""An inversion that is wrong on purpose."""

from dtool.samplers.rule import sampler as rule_of
from tests.support.rules import examined


def test_an_inversion_finds_what_is_wrong_with_it():
    @rule_of("wrong", order=1, basis="eps", inverse=True)
    def wrong(now, to):
        return to.alpha / now.alpha * now.x + 1.05 * (to.sigma - now.sigma * to.alpha / now.alpha) * now.eps

    found = examined(wrong, "order-shipped", "round-trip")
    assert [r.status for r in found.values()] == ["fail", "fail"]
