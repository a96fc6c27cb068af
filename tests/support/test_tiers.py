"""The table of tiers: what it takes out of `make test`, and that it speaks of tests that there are."""

import pytest

from tests.support.tiers import TIERS, Tier, find_core, find_unused, find_whole

CASES = [f"tests/certify/test_order.py::test_orders[{name}]" for name in ("ddim", "ddim:eta=0", "ddim:eta=1", "heun")]
OTHERS = ["tests/certify/test_order.py::test_other", "tests/cli/test_order.py::test_orders[ddim]"]
BY_SAMPLER = Tier("certify::test_orders", r"^(\w+)", 0.1, "long")


def test_every_entry_means_a_test(collected, pytestconfig):
    if pytestconfig.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        pytest.skip("only some of the tests were collected")
    assert find_unused(collected) == []


def test_the_room_and_the_name_are_there():
    """The same without collecting: a renamed test is noticed when this file is run alone."""
    from tests.support.places import ROOT

    for tier in TIERS:
        room, _, name = tier.test.partition("::")
        files = (ROOT / "tests" / room).rglob("test_*.py")
        assert any(f"def {name}(" in file.read_text(encoding="utf-8") for file in files), tier


def test_every_file_keeps_a_test(collected):
    files = {node.partition("::")[0] for node in collected}
    assert files == {node.partition("::")[0] for node in {*collected} - find_whole(collected)}


def test_of_each_kind_one_case_at_least_is_kept():
    for seed in "abc":
        whole = find_whole([*CASES, *OTHERS], seed, tiers=[BY_SAMPLER])
        assert len(whole) == 2
        assert whole < set(CASES[:3])


def test_what_is_kept_depends_on_the_seed_alone():
    chosen = {frozenset(find_whole(CASES, str(seed), tiers=[BY_SAMPLER])) for seed in range(20)}
    assert len(chosen) == 3
    assert find_whole(CASES, "x", tiers=[BY_SAMPLER]) == find_whole(CASES[::-1], "x", tiers=[BY_SAMPLER])
    moved = [case.replace("test_order.py", "test_slope.py") for case in CASES]
    assert {node.partition("::")[2] for node in find_whole(moved, tiers=[BY_SAMPLER])} == {
        node.partition("::")[2] for node in find_whole(CASES, tiers=[BY_SAMPLER])
    }


@pytest.mark.parametrize(("factor", "left_out"), [(1, 3), (2, 2), (3, 1), (4, 0), (100, 0)])
def test_more_of_a_sample(factor, left_out):
    quarter = Tier("certify::test_orders", "", 0.25, "long")
    assert len(find_whole(CASES, factor=factor, tiers=[quarter])) == left_out


def test_without_a_share_none_is_run_and_the_first_entry_decides():
    none = Tier("certify::test_orders", "eta", 0, "long")
    assert find_whole(CASES, tiers=[none]) == set(CASES[1:3])
    assert find_whole(CASES, tiers=[none, BY_SAMPLER]) == set(CASES[1:3])
    assert find_unused(CASES, tiers=[none, none]) == [none]


def test_the_core_is_mathematics_and_short():
    whole = Tier("certify::test_orders", "heun", 0, "long")
    nodes = [*CASES, *OTHERS]
    assert find_core(nodes, tiers=[]) == {*CASES, OTHERS[0]}
    assert len(find_core(nodes, tiers=[BY_SAMPLER])) == 3
    assert find_core(nodes, tiers=[whole]) == {*CASES[:3], OTHERS[0]}
    seconds = Tier("certify::test_orders", "eta", 1, "seconds")
    assert find_whole(nodes, tiers=[seconds]) == set()
    assert find_core(nodes, tiers=[seconds]) == {CASES[0], CASES[3], OTHERS[0]}
