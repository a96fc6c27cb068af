"""DPM-Solver++(3M): the order of the corrected weights and of the published ones."""

from __future__ import annotations

import pytest

from dtool.certify.order import global_slope, local_slope
from dtool.samplers import get_sampler


def test_the_published_weights_of_3m_are_of_order_two():
    assert global_slope(get_sampler("dpmpp-3m")).value == pytest.approx(3, abs=0.1)
    assert global_slope(get_sampler("dpmpp-3m:variant=published")).value == pytest.approx(2, abs=0.1)
    assert local_slope(get_sampler("dpmpp-3m"), "uneven").value > 3.85
    assert [get_sampler(f"dpmpp-3m:variant={v}").order for v in ("corrected", "published")] == [3, 2]
