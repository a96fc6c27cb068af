"""The plan of a run."""

import pytest

import dtool
from dtool.errors import UsageError
from dtool.run.sampled_plan import resolve_plan


@pytest.fixture
def network():
    return dtool.network(lambda x, t: 0.3 * x, shape=(2,))


def test_a_run_needs_a_sampler(network):
    with pytest.raises(UsageError, match="no sampler is named"):
        resolve_plan(network, None, None)
