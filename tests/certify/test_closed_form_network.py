"""The network in closed form, as arrays and as a file."""

import numpy as np
import pytest

from dtool.certify.closed_form_network import closed_form, closed_form_with_variance, make_onnx


def test_the_onnx_network_is_valid_onnx():
    onnx = pytest.importorskip("onnx")
    onnx.checker.check_model(onnx.load_from_string(make_onnx()), full_check=True)


SHAPE = (4, 16, 16)


def test_the_toy_is_the_old_one_twice():
    x, t = np.random.default_rng(0).standard_normal((2, *SHAPE)), np.array([3.0, 700.0])
    np.testing.assert_array_equal(closed_form_with_variance(x, t)[:, :4], closed_form(x, t))
    assert closed_form_with_variance(x, t).shape == (2, 8, 16, 16)
