"""What rounding costs on every schedule."""

import pytest

from dtool.certify import rounding
from dtool.plugins.registry import get_registry
from dtool.samplers import get_sampler as named


@pytest.mark.parametrize("entry", [e for e in get_registry().schedulers if e.name != "betas"], ids=lambda e: e.name)
def test_samplers_run_on_every_schedule(entry):
    assert rounding.rounding_loss(named("ddim"), entry.load()())[0] < rounding.BAR / 10
