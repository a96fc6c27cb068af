import numpy as np
import pytest

from dtool.errors import DtoolError, UsageError
from dtool.metrics.row_blocks import BLOCK, RowBlocks, sum_by_block


def draw_rows(count, width=3):
    return np.random.default_rng(count).standard_normal((count, width)).astype(np.float32)


@pytest.mark.parametrize("piece", [1, 33, BLOCK, 2 * BLOCK + 1, 1000])
def test_blocks_do_not_depend_on_the_pieces(piece):
    rows = draw_rows(251)
    blocks = RowBlocks(rows[i : i + piece] for i in range(0, 251, piece))
    assert (blocks.count, len(blocks), blocks.sizes.tolist()) == (251, 3, [100, 100, 51])
    assert np.array_equal(np.concatenate([blocks.read(i) for i in range(3)]), rows.astype(np.float64))
    assert np.array_equal(blocks.read(1, 3), rows[100:])
    assert [start for start, _ in blocks.stripes(1)] == [1]


def test_rows_are_taken_by_their_places_in_the_order_asked():
    rows = draw_rows(150)
    places = np.array([149, 0, 100, 7])
    assert np.array_equal(RowBlocks([rows]).take(places), rows[places].astype(np.float64))


def test_sums_are_made_block_by_block():
    values = np.arange(250.0)
    assert sum_by_block(values).tolist() == [values[:100].sum(), values[100:200].sum(), values[200:].sum()]


def test_rows_of_another_width_are_refused():
    with pytest.raises(UsageError, match="rows of 4 numbers after rows of 3"):
        RowBlocks([draw_rows(5), draw_rows(5, 4)])


def test_a_full_disk_is_said(monkeypatch):
    blocks = RowBlocks([draw_rows(5)])

    class Full:
        def seek(self, *_):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(blocks, "_file", Full())
    with pytest.raises(DtoolError, match="No space left on device") as caught:
        blocks.append(draw_rows(5))
    assert caught.value.hint == "free some space there"
