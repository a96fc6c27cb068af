"""The noise source: its bits, its law, and that every backend makes the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dtool.errors import UsageError
from dtool.run.noise import check_ids, counter_range, derive_key, normals, squares

SEEDS = [0, 1, 7, 123456789, 2**32, 2**63, 2**64 - 1]


def squares_in_integers(counter: int, k: int) -> int:
    """arXiv:2004.06278, section 4, with Python's whole numbers."""
    full = (1 << 64) - 1

    def swap(v: int) -> int:
        return ((v >> 32) | (v << 32)) & full

    y = x = counter * k & full
    z = (y + k) & full
    for add in (y, z, y):
        x = swap((x * x + add) & full)
    return ((x * x + z) & full) >> 32


@pytest.mark.parametrize("seed", SEEDS)
def test_squares_is_the_papers_generator(seed: int) -> None:
    rng = np.random.default_rng(seed % 2**32)
    counter = rng.integers(0, 2**64, 200, dtype=np.uint64)
    k = derive_key(seed)
    assert squares(counter * np.uint64(k), k).tolist() == [squares_in_integers(int(c), k) for c in counter]


@pytest.mark.parametrize("seed", SEEDS)
def test_key_has_the_digits_that_the_generator_needs(seed: int) -> None:
    digits = f"{derive_key(seed):016x}"
    for half in (digits[:8], digits[8:]):
        assert len(set(half)) == 8, "eight different digits"
        assert "0" not in half
        assert int(half[-1], 16) % 2 == 1


def test_keys_of_neighbouring_seeds_differ() -> None:
    assert len({derive_key(seed) for seed in range(2000)}) == 2000


def test_normal_law() -> None:
    values = normals(3, np.arange(40, dtype=np.uint64), 0, (50, 101), count=2).ravel()
    assert stats.kstest(values, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 0.01
    assert abs(values.mean()) < 0.01
    assert abs(values.std() - 1) < 0.01


def test_one_number_depends_on_seed_image_draw_and_element_alone() -> None:
    ids = np.array([5, 900, 2**32 - 1], dtype=np.uint64)
    block = normals(9, ids, 2, (3, 5), count=4)
    assert block.shape == (4, 3, 3, 5)
    for d in range(4):
        for i, name in enumerate(ids):
            alone = normals(9, np.array([name], dtype=np.uint64), 2 + d, (3, 5))[0, 0]
            assert (block[d, i] == alone).all()
    different = [normals(9, ids, 2, (3, 5)), normals(8, ids, 2, (3, 5)), normals(9, ids[::-1], 2, (3, 5)), block[1:2]]
    assert len({v.tobytes() for v in different}) == 4


@pytest.mark.parametrize("shape", [(1,), (7,), (2, 3, 3), (1, 28, 28)])
@pytest.mark.parametrize("seed", [0, 2**63 + 5])
def test_tensor_arithmetic_gives_the_same_bits(seed: int, shape: tuple[int, ...]) -> None:
    pytest.importorskip("torch")
    from dtool.run.torch_backend import device_normals

    ids = np.array([0, 3, 2**31 + 1, 2**32 - 1], dtype=np.uint64)
    ours = device_normals(seed, ids, 1, shape, 3, "cpu").numpy()
    assert (ours == normals(seed, ids, 1, shape, 3)).all()


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(UsageError, match="seed -1 is out of range"):
        derive_key(-1)
    with pytest.raises(UsageError, match="image ids"):
        check_ids(np.array([0, -3]))
    with pytest.raises(UsageError, match="image ids"):
        check_ids(np.array([2**32]))
    with pytest.raises(UsageError, match="random numbers"):
        counter_range(2**20, 1, 2**13)
