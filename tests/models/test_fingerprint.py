"""A network is known again by its outputs: on another backend, in half precision; another network is not."""

import numpy as np
import pytest

import dtool
from dtool.models.fingerprint import TOLERANCE, are_same_outputs, digest_network, measure_outputs
from dtool.targets import target


def test_the_same_law_is_the_same_network_and_another_is_another():
    one, again = (target("gmm:d=2").network() for _ in range(2))
    assert measure_outputs(one) == measure_outputs(again)
    assert digest_network(one) == digest_network(again)
    for other in ("gmm:d=2,std=0.1", "gmm:d=2,k=7", "gaussian:d=2"):
        assert not are_same_outputs(measure_outputs(one), measure_outputs(target(other).network()))
    assert not are_same_outputs(measure_outputs(one), ())


def test_rounding_is_no_other_network():
    law = target("gmm:d=3").network()

    def halved(x, t):
        return law.predict(x, t).astype(np.float16).astype(np.float32)

    rounded = dtool.network(halved, shape=(3,))
    apart = np.subtract(measure_outputs(law), measure_outputs(rounded))
    assert 0 < np.abs(apart).max() < TOLERANCE
    moved = dtool.network(lambda x, t: 1.5 * law.predict(x, t) + 0.3 * x, shape=(3,))
    assert not are_same_outputs(measure_outputs(law), measure_outputs(moved))


def test_pytorch_and_numpy_are_one_network():
    pytest.importorskip("torch")
    on_torch = dtool.network(lambda x, t: 0.3 * x + 1e-3 * t[:, None], shape=(2,), backend="torch")
    on_numpy = dtool.network(lambda x, t: 0.3 * x + 1e-3 * t[:, None], shape=(2,))
    assert are_same_outputs(measure_outputs(on_torch), measure_outputs(on_numpy))
