"""Classifier agreement."""

import numpy as np
import pytest
from scipy import stats

from dtool.measure.share import wilson_interval
from dtool.metrics import Reference, evaluate, measure_difference


def test_agreement_is_a_share_with_wilsons_interval():
    images, asked = np.arange(20.0)[:, None], np.arange(20) // 10
    reference = Reference(images, asked, classifier=lambda x: (x[:, 0] >= 8).astype(int))
    figure = evaluate("agreement", images, reference, labels=asked)
    assert figure.value == 0.9
    assert (figure.low, figure.high) == pytest.approx(stats.binomtest(18, 20).proportion_ci(method="wilson"))
    assert figure.null_mean == 0.9
    assert figure.null_sd == pytest.approx(np.sqrt(0.09 * 2 / 20))
    scores = Reference(images, classifier=lambda x: np.eye(2)[(x[:, 0] >= 10).astype(int)])
    perfect = evaluate("agreement", images, scores, labels=asked)
    assert (perfect.value, perfect.high, perfect.z) == (1, 1, None)
    assert perfect.low == pytest.approx(wilson_interval(1.0, 20)[0])
    assert perfect.low < 0.9
    worse = measure_difference("agreement", images, images[::-1], scores, labels=asked)
    assert worse.value == 1
    assert worse.p < 0.01
