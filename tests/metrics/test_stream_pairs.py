import numpy as np
import pytest
from scipy.spatial.distance import cdist

from dtool.metrics.row_blocks import RowBlocks
from dtool.metrics.row_pair import RowPair
from dtool.metrics.stream_pairs import collect_sums, combine_sums, stream_pairs, sum_block_row
from tests.support.point_sets import draw_gaussians, u_statistic_by_definition


def make_pair(seed=0, n=930, m=1150, shift=0.0):
    x, y = draw_gaussians(seed, n, m)
    return RowPair(RowBlocks([x + shift]), RowBlocks([y])), x + shift, y


def energy(pair, x, y):
    return -np.sqrt(pair.square_distances(x, y))


def test_the_value_is_the_u_statistic_by_its_definition():
    pair, x, y = make_pair(shift=0.5)
    wanted = u_statistic_by_definition(lambda a, b: -cdist(a, b), x, y)
    assert stream_pairs(pair, "energy", energy).value == pytest.approx(wanted, rel=1e-11)


def test_halves_of_the_blocks_are_the_u_statistic_of_their_rows():
    pair, x, y = make_pair(n=800, m=800)
    sums = collect_sums(pair, energy)
    a = np.arange(16)[None] < 3
    b = (np.arange(16) >= 14)[None]
    wanted = u_statistic_by_definition(lambda u, v: -cdist(u, v), x[:300], y[600:])
    assert combine_sums(sums, np.full(16, 100.0), a, b)[0] == pytest.approx(wanted, rel=1e-10)


def test_rows_of_blocks_have_the_same_bits_in_any_order_on_any_number_of_workers():
    pair, *_ = make_pair()
    whole = collect_sums(pair, energy)
    total = len(whole)
    for workers in (1, 2, 7):
        other, _, _ = make_pair()
        parts = [range(worker, total, workers) for worker in range(workers)]
        for part in reversed(parts):
            for row in part:
                assert np.array_equal(sum_block_row(other, row, energy), whole[row, row:])


def test_two_sets_of_one_law_are_not_told_apart_and_two_laws_are():
    chance = [stream_pairs(pair, "energy", energy) for pair, *_ in (make_pair(seed) for seed in range(6))]
    assert sum(one.p < 0.05 for one in chance) <= 2
    assert all(abs(one.value - one.null_mean) < 5 * one.null_sd for one in chance)
    assert all(one.low < one.value < one.high for one in chance)
    pair, *_ = make_pair(shift=0.5)
    apart = stream_pairs(pair, "energy", energy)
    assert apart.p < 0.01
    assert apart.low > 0
