"""What a budget of time buys: images, and steps of the solution."""

import time

import pytest

import dtool
from dtool.compare.budget import MAX_IMAGES, choose_solution_steps, count_affordable
from dtool.compare.drawing import TIMED_IMAGES
from dtool.compare.step_doubling import LEAST
from dtool.errors import UsageError
from tests.support.commandline import SHAPE


def test_a_budget_buys_images():
    calls = []

    def counted(x, t):
        calls.append(len(x))
        return 0.5 * x

    net = dtool.network(counted, shape=SHAPE)
    comparison = dtool.compare(net, ["ddim"], steps=2, budget=3.0, solver=False)
    assert comparison.n >= TIMED_IMAGES
    now = time.monotonic()
    assert count_affordable(4.0, 16, now + 1e9) == MAX_IMAGES
    assert count_affordable(4.0, 16, now - 5.0) == 16
    assert count_affordable(0.25, 16, now + 100) == pytest.approx(360, abs=2)
    both = count_affordable(0.25, 16, now + 100, judging=1.0, of=100)  # 0.25 n + (n/100)^2 = 90
    assert 0.25 * both + (both / 100) ** 2 == pytest.approx(90, abs=0.5)
    with pytest.raises(UsageError, match="both n and a budget"):
        dtool.compare(net, ["ddim"], n=3, budget=3.0)


@pytest.mark.parametrize(
    ("seconds", "images", "expected"),
    [
        (16 * LEAST * 8, 8, (8 * LEAST, 16 * LEAST * 8)),
        (16 * LEAST * 8 - 1, 8, (4 * LEAST, 8 * LEAST * 8)),
        (0, 8, (2 * LEAST, 4 * LEAST * 8)),
        (0, 0, (8 * LEAST, 0)),
    ],
)
def test_a_solution_is_as_fine_as_its_time_allows(seconds, images, expected):
    """At a second per call: twice the steps in all solves together, half as many as long as that is too long."""
    assert choose_solution_steps(1.0, seconds, images, most=8 * LEAST) == expected
