"""Every combination works or is refused. `pytest -s tests/certify/test_sweep.py` prints the counts of each sampler."""

from __future__ import annotations

import re

import pytest

from dtool.certify import sweep
from dtool.certify.sweep import _run_pair
from dtool.errors import DtoolError
from dtool.plugins.registry import get_registry
from dtool.samplers import get_sampler as named
from dtool.samplers.rule import sampler

SAMPLERS = sweep.list_samplers()
PAIR = ("linear", "trailing")
PARTS = 12  # of each sampler's combinations; of them make test runs one, which tests/support/tiers.py says


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize(("turn", "token"), list(enumerate(SAMPLERS)), ids=SAMPLERS)
def test_every_combination_works_or_is_refused_with_a_reason(turn, token, part):
    found = sweep.sweep(token, turn, part=(part, PARTS))
    print(f"\n{token}, part {part}: {found.ran} ran, {found.refused.total()} refused")
    for reason, count in found.refused.most_common():
        print(f"  {count:6} {reason}")
    assert not found.wrong, found.wrong[:20]
    assert found.ran > found.refused.total()


def test_the_parts_are_the_whole():
    """No combination is lost or comes twice, and one part of a few samplers meets every schedule and every spacing."""
    levels, places = sweep.list_schedules(), sweep.list_spacings()
    met = [set() for _ in range(PARTS)]
    for turn, token in enumerate(SAMPLERS[:4]):
        whole = list(sweep._list_runs(token, turn, full=False))
        assert len(set(whole)) == len(whole)
        assert {pair for one, pair, _ in whole if one == token} == {(one, two) for one in levels for two in places}
        for part in range(PARTS):
            met[part] |= {name for _, pair, _ in whole[part::PARTS] for name in pair}
    assert all(names == {*levels, *places} for names in met)


def test_a_part_runs_its_share(monkeypatch):
    seen = []
    monkeypatch.setattr(sweep, "_run_pair", lambda rule, pair, counts: seen.append((rule.token, pair)) or sweep.Tally())
    for part in range(PARTS):
        sweep.sweep("euler", 1, part=(part, PARTS))
    shared, seen = seen, []
    sweep.sweep("euler", 1)
    assert sorted(shared) == sorted(seen)


def test_nothing_registered_is_left_out():
    assert {e.name for e in get_registry().samplers} <= set(SAMPLERS)
    assert {e.name for e in get_registry().spacings} <= set(sweep.list_spacings())
    assert {e.name for e in get_registry().schedulers} <= {*sweep.list_schedules(), "betas"}


def test_the_thinned_pairs_meet_every_schedule_and_every_spacing():
    for turn in range(3):
        pairs = sweep._some_pairs(turn)
        assert {levels for levels, _ in pairs} == set(sweep.list_schedules())
        assert {place for _, place in pairs} == set(sweep.list_spacings())


def test_the_sweep_sees_a_result_that_is_not_finite():
    @sampler("explodes", order=1)
    def explodes(now, to):
        return 1e300 * now.x + now.x0

    tally = _run_pair(explodes, PAIR, (2, 3))
    assert tally.ran == 0
    assert re.search(r"explodes@linear/trailing, 3 steps, eps: x ends at (inf|nan)", "\n".join(tally.wrong))


def test_a_crash_is_no_refusal():
    @sampler("crashes", order=1)
    def crashes(now, to):
        return now.x0 / 0 if to.sigma == 0 else now.x0

    tally = _run_pair(crashes, PAIR, (1,))  # the compiler catches it, and hints; that is not yet a reason
    assert not tally.refused
    assert "ZeroDivisionError" in tally.wrong[0]


def test_a_refusal_without_a_hint_is_wrong(monkeypatch):
    def refuse(*_, **__):
        raise DtoolError("no")

    monkeypatch.setattr(sweep, "compile_plan", refuse)
    tally = _run_pair(named("euler"), PAIR, (3,))
    assert len(tally.wrong) == 4
    assert not tally.refused
