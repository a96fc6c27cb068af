"""Calls cover the images, each of its size, and only the last is padded."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dtool.models.micro_batch import (
    choose_default_micro_batch,
    choose_function_micro_batch,
    choose_micro_batch,
    pad_calls,
    split_evenly,
)

SHAPES = st.lists(st.integers(1, 300), min_size=1, max_size=3)


@given(st.integers(1, 500), st.integers(1, 70))
def test_every_image_runs_once_beside_the_padding(count, size):
    sizes = split_evenly(count, size)
    calls = list(pad_calls(count, sizes))
    assert [len(index) for index, _ in calls] == sizes == [size] * len(sizes)
    assert np.concatenate([index[:real] for index, real in calls]).tolist() == list(range(count))
    assert all((index[real:] == count - 1).all() for index, real in calls)
    assert all(real == size for _, real in calls[:-1])


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 8))
def test_calls_of_several_sizes(sizes, missing):
    count = sum(sizes) - min(missing, sizes[-1] - 1)
    calls = list(pad_calls(count, sizes))
    assert [len(index) for index, _ in calls] == sizes
    assert np.concatenate([index[:real] for index, real in calls]).tolist() == list(range(count))


@given(SHAPES, st.integers(1, 1 << 24))
def test_a_micro_batch_is_the_power_of_two_that_fits(shape, numbers):
    size, images = choose_micro_batch(shape, numbers), numbers // int(np.prod(shape))
    assert size & (size - 1) == 0
    assert size == 1 or size <= images < 2 * size


@given(SHAPES)
def test_who_calls_decides(shape):
    """A network on a GPU runs more at a time than on a CPU, and a function at most 64."""
    assert choose_default_micro_batch(shape, "cpu") == choose_micro_batch(shape, 512)
    assert choose_default_micro_batch(shape, "cuda:0") >= max(16, choose_default_micro_batch(shape, "cpu"))
    assert 1 <= choose_function_micro_batch(shape) <= 64
