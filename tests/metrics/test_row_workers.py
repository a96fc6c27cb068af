"""Features and sums by workers: the same figures, bit for bit, though one is killed; and what cannot be shared."""

import os
import signal
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from dtool.metrics import evaluate_stream
from dtool.metrics.row_blocks import RowBlocks
from dtool.metrics.row_pair import RowPair
from dtool.metrics.row_workers import share_pairs

NAMES = ["mmd", "energy", "fd", "density", "precision", "recall", "coverage"]


def load_piece(seed, count):
    """A piece of images, drawn where it is needed."""
    return dtool.targets.target("digits-gmm").sample(count, seed=seed).astype(np.float32)


def square(images):
    return (images.reshape(len(images), -1) ** 2)[:, 20:30]


@pytest.fixture(scope="module")
def pieces():
    return [partial(load_piece, seed, count) for seed, count in enumerate((300, 111, 450))], [load_piece(9, 900)]


def test_figures_have_the_bits_of_one_process(pieces):
    alone = evaluate_stream(*pieces, [*NAMES, "fd-features"], features=square)
    assert evaluate_stream(*pieces, [*NAMES, "fd-features"], features=square, workers=3) == alone
    assert list(alone) == [*NAMES, "fd-features"]


def sum_or_die(pair, block, flag):
    """The sum of a block; whoever is the first to ask for the third is killed."""
    if block == 2 and not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return float(pair.samples.read(block).sum() + pair.centre.sum() + pair.scale), os.getpid()


def test_a_worker_that_is_killed_changes_no_bit_and_workers_stay(tmp_path):
    random = np.random.default_rng(0)
    rows = [RowBlocks([random.standard_normal((900, 3))], is_shared=True) for _ in range(2)]
    pair = RowPair(*rows)
    (tmp_path / "died").touch()
    function = partial(sum_or_die, flag=tmp_path / "died")
    alone = [total for total, _ in pair.map(function, range(9))]
    (tmp_path / "died").unlink()
    with share_pairs({"pixels": pair}, 2):
        goes = [list(pair.map(function, range(9))) for _ in range(2)]
    assert (tmp_path / "died").exists()
    assert all([total for total, _ in go] == alone for go in goes)
    assert os.getpid() not in {pid for go in goes for _, pid in go}
    assert {pid for _, pid in goes[1]} <= {pid for _, pid in goes[0]}


def test_a_scratch_file_with_a_name_goes_with_its_rows():
    rows = RowBlocks([np.zeros((5, 2))], is_shared=True)
    path = Path(rows.__getstate__()["_file"])
    assert path.exists()
    del rows
    assert not path.exists()


def test_errors_are_those_of_one_process(pieces):
    few = load_piece(0, 10)
    with pytest.raises(UsageError, match="10 samples are too few"):
        evaluate_stream(few, pieces[1], ["mmd"], workers=2)
    with pytest.raises(UsageError, match=r"the samples are \(1, 9, 9\)"):
        evaluate_stream(np.zeros((900, 1, 9, 9)), pieces[1], ["mmd"], workers=2)
    with pytest.raises(UsageError, match="cannot be given to other processes"):
        evaluate_stream(*pieces, ["fd-features"], features=lambda images: square(images), workers=2)
