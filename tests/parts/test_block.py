"""Blocks cover the ids once, in order, and their names say which they are."""

import tracemalloc

import pytest

from dtool.errors import UsageError
from dtool.parts.block import Block, choose_block_size, divide, parse_name


@pytest.mark.parametrize(("count", "size"), [(1, 1), (7, 3), (6, 3), (5, 100), (1000, 256)])
def test_blocks_cover_each_id_once_in_order(count, size):
    blocks = divide(count, size)
    assert [i for block in blocks for i in block.ids] == list(range(count))
    assert [blocks[k] for k in range(len(blocks))] == list(blocks)
    assert blocks[-1] == list(blocks)[-1]
    assert all(len(block) == size for block in list(blocks)[:-1])
    with pytest.raises(IndexError):
        blocks[len(blocks)]


def test_a_million_ids_are_divided_without_a_list_of_them():
    tracemalloc.start()
    blocks = divide(10**6, 256)
    assert sum(map(len, blocks)) == 10**6
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000


@pytest.mark.parametrize(("count", "size", "cause"), [(0, 1, "0 images"), (2**32 + 1, 1, "images"), (5, 0, "of 0 im")])
def test_numbers_of_which_there_are_none_are_refused(count, size, cause):
    with pytest.raises(UsageError, match=cause):
        divide(count, size)


def test_names_are_read_back_and_sorted_as_the_ids():
    blocks = list(divide(1000, 3))
    names = [block.make_name("0123456789abcdef", "fedcba9876543210", 2**64 - 1) for block in blocks]
    assert names == sorted(names)
    assert [parse_name(name) for name in names] == [(block, "01234567", "fedcba98", 2**64 - 1) for block in blocks]
    assert parse_name("00000000-00000001-01234567-fedcba98") is None
    assert parse_name(Block(2**32 - 2, 2**32 - 1).make_name("0" * 16, "1" * 16, 0))[0].last == 2**32 - 1


def test_the_size_of_a_block_is_bounded_by_its_numbers_and_in_whole_batches():
    assert choose_block_size((1, 28, 28)) == 256
    assert choose_block_size((3, 1024, 1024)) == 4
    assert choose_block_size((3, 1 << 14, 1 << 14)) == 1
    assert choose_block_size((1, 28, 28), 100) == 200
    assert choose_block_size((1, 28, 28), 1000) == 1000
