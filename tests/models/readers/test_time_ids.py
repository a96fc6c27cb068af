"""The numbers beside a text: six of XL's first network, five of its refiner; and what a refiner's are compared with."""

import pytest

from dtool.models.readers.time_ids import contrast_time_ids, make_time_ids


@pytest.mark.parametrize(("count", "rest"), [(6, [768, 1024]), (5, [6.0])])
def test_of_a_whole_picture(count, rest):
    assert make_time_ids(768, 1024, count).tolist() == [768, 1024, 0, 0, *rest]


def test_contrast_keeps_the_size_alone():
    ids = [[20, 30, 1, 2, 7], [5, 6, 0, 0, 6]]
    assert contrast_time_ids(ids).tolist() == [[20, 30, 0, 0, 2.5], [5, 6, 0, 0, 2.5]]
    assert ids[0] == [20, 30, 1, 2, 7]
