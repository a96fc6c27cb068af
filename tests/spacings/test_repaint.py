"""RePaint's jumps."""

from itertools import pairwise

import pytest

from dtool.plan import grid
from dtool.schedulers import get_scheduler
from dtool.spacings import get_spacing
from tests.support.spacings import LINEAR, downs


def repaint_times(steps, length, times):
    """The paper's own loop, appendix B: time goes down by one, and from every `length`-th up again."""
    jumps = dict.fromkeys(range(0, steps - length, length), times - 1)
    t, found = steps, []
    while t >= 1:
        t -= 1
        found.append(t)
        if jumps.get(t, 0) > 0:
            jumps[t] -= 1
            for _ in range(length):
                t += 1
                found.append(t)
    return found


@pytest.mark.parametrize(("steps", "length", "times"), [(25, 5, 3), (20, 10, 2), (7, 10, 10), (12, 1, 2), (9, 3, 1)])
def test_repaint_is_that_of_the_paper(steps, length, times):
    """Where the paper's number of steps down is asked for, it is the paper's; upward steps are one jump here."""
    expected = repaint_times(steps, length, times)
    n = 1 + sum(b < a for a, b in pairwise(expected))
    turns = [
        t for i, t in enumerate(expected)
        if not (0 < i < len(expected) - 1 and expected[i - 1] < t < expected[i + 1])
    ]  # fmt: skip
    table = get_scheduler("cosine", T=steps)
    found = get_spacing("repaint:base=leading", jump_length=length, jump_n=times)(table, n)
    assert found.tolist() == turns


@pytest.mark.parametrize(
    "options", ["", ":jump_length=3,jump_n=2", ":jump_length=1,jump_n=4", ":jump_n=1,end=sigma_min"]
)
def test_repaint_has_exactly_n_steps(options):
    for n in range(1, 200):
        assert downs(grid(LINEAR, get_spacing(f"repaint{options}"), n)) == n
