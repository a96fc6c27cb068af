"""Functions on numpy arrays: what they return is examined, and nothing that was given is changed."""

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError
from dtool.models.network import Network
from tests.support.gaussian import SHAPE


def test_a_result_that_is_not_finite_is_an_error() -> None:
    with pytest.raises(DtoolError, match="not finite"):
        dtool.sample(dtool.network(lambda x, t: x * np.nan, shape=SHAPE), "ddim", steps=3)


def test_a_network_of_the_wrong_shape_is_an_error() -> None:
    with pytest.raises(DtoolError, match="returned shape"):
        dtool.sample(dtool.network(lambda x, t: x[:, :1], shape=SHAPE), "ddim", steps=3)


def test_nothing_that_was_given_is_changed(net: Network) -> None:
    plan = dtool.plan("ddpm", steps=5)
    x, z = np.ones((2, *SHAPE)), np.ones((4, 2, *SHAPE))
    dtool.sample(net, plan, x=x, noise=z)
    assert (x == 1).all()
    assert (z == 1).all()
