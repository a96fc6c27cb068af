"""A start of the user's own: arrays and tensors, on a network of either kind."""

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from dtool.run.given_start import is_tensor, unify_backends

torch = pytest.importorskip("torch")


@pytest.fixture
def network():
    return dtool.network(lambda x, t: 0.3 * x, shape=(2,))


def test_only_what_pytorch_made_is_a_tensor():
    assert is_tensor(torch.zeros(2))
    assert not any(is_tensor(value) for value in (np.zeros(2), [0.0], None, torch.float32))


@pytest.mark.parametrize("noise", [None, np.ones((1, 3, 2))])
def test_arrays_stay_on_the_network_s_own_backend(network, noise):
    same, x, own_noise = unify_backends(network, np.zeros((3, 2)), noise, True)
    assert same is network
    assert (x == 0).all()
    assert own_noise is noise or (own_noise == noise).all()


@pytest.mark.parametrize("noise", [None, np.ones((1, 3, 2)), torch.ones(1, 3, 2)])
def test_a_tensor_takes_a_function_and_its_noise_to_pytorch(network, noise):
    other, x, own_noise = unify_backends(network, torch.zeros(3, 2), noise, False)
    assert other.backend == "torch"
    assert is_tensor(x)
    assert own_noise is None if noise is None else bool((own_noise == 1).all()) and is_tensor(own_noise)


@pytest.mark.parametrize(
    ("x", "noise", "message"),
    [
        (torch.zeros(3, 2, dtype=torch.int64), None, "x is of type torch.int64"),
        (torch.zeros(3, 2), torch.ones(1, 3, 2, dtype=torch.int32), "noise is of type torch.int32"),
        (torch.full((3, 2), torch.nan), None, "x"),
    ],
)
def test_what_is_no_start_is_refused(network, x, noise, message):
    with pytest.raises(UsageError, match=message) as error:
        unify_backends(network, x, noise, False)
    assert error.value.hint
