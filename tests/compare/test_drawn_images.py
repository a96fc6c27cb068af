from math import isnan

import numpy as np
import pytest

import dtool
from dtool.compare.drawing import ComparisonSampler
from dtool.compare.drawn_images import draw_timed, draw_untimed
from dtool.compare.kept_images import ImageCache
from dtool.compare.work_sharing import WorkSharing


@pytest.fixture
def drawing():
    network = dtool.targets.target("gmm:d=2").network()
    plans = [dtool.plan(recipe, steps=3, network=network) for recipe in ("ddim", "ddpm")]
    return ComparisonSampler(
        network=network, plans=plans, names=["ddim", "ddpm"], seed=0, labels=None,
        options={"clip": None, "batch_size": None},
    )  # fmt: skip


def test_images_are_the_same_timed_or_not(drawing, tmp_path):
    timed = draw_timed(drawing, lambda n: None, 70, 2, began=0.0, budget=None, solver_images=0, most=64)
    shared = draw_untimed(drawing, WorkSharing(), {"seed": 0}, ImageCache(tmp_path), 70, 64)
    assert (timed.n, timed.most, shared.n, shared.most) == (70, 64, 70, 64)
    for one, other in zip(timed.images, shared.images, strict=True):
        assert np.array_equal(one, other)
        assert one.shape == (70, 2)
    assert [len(seconds) for seconds in timed.seconds] == [2, 2]
    assert all(isnan(seconds) for [seconds] in shared.seconds)
    assert shared.splits == [None, None]


def test_times_of_a_few_images_are_brought_to_all(drawing):
    few = draw_timed(drawing, lambda n: None, None, 1, began=0.0, budget=None, solver_images=0, most=64)
    assert few.n == len(few.images[0]) == 16
    assert few.splits[0].network > 0
