"""What a network's function returns: taken where it holds the prediction, and named where it does not."""

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError


class Output:
    """What diffusers' modules return."""

    def __init__(self, sample):
        self.sample = sample


def drawn(fn, **more):
    return dtool.sample(dtool.network(fn, shape=(1, 2, 2), **more), "ddim", n=2, steps=2).x0


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_outputs_that_hold_the_prediction_are_taken(backend):
    if backend == "torch":
        pytest.importorskip("torch")
    plain = drawn(lambda x, t: 0.5 * x, backend=backend)
    for wrapped in (
        lambda x, t: Output(0.5 * x),
        lambda x, t: (0.5 * x,),
        lambda x, t: (0.5 * x, t),
        lambda x, t: [0.5 * x],
    ):
        np.testing.assert_array_equal(drawn(wrapped, backend=backend), plain)


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize(
    ("fn", "cause"),
    [
        (lambda x, t: None, "returned None"),
        (lambda x, t: "s", "returned a str"),
        (lambda x, t: 5, "returned an int"),
        (lambda x, t: {"a": x}, "returned a dict"),
        (lambda x, t: (None, x), "returned a tuple"),
        (lambda x, t: x > 0, "numbers of type bool"),
        (lambda x, t: x * 1j, "numbers of type complex64"),
        (lambda x, t: x[0], "returned shape"),
        (lambda x, t: 1 / 0, r"own code failed \(ZeroDivisionError: division by zero\)"),
    ],
)
def test_others_are_named(fn, cause, backend):
    if backend == "torch":
        pytest.importorskip("torch")
    with pytest.raises(DtoolError, match=cause) as caught:
        drawn(fn, backend=backend)
    assert caught.value.hint
    if "ZeroDivisionError" in str(caught.value):
        assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_function_around_a_module_is_told_to_ask_for_tensors():
    torch = pytest.importorskip("torch")
    net = torch.nn.Conv2d(1, 1, 1)
    for fn in (lambda x, t: net(x), lambda x, t: x.to("cpu"), lambda x, t: net.weight * x):
        with pytest.raises(DtoolError, match="calls PyTorch") as caught:
            drawn(fn)
        assert "backend='torch'" in caught.value.hint
    assert drawn(lambda x, t: net(x), backend="torch").shape == (2, 1, 2, 2)
    assert drawn(lambda x, t: net(torch.from_numpy(x))).shape == (2, 1, 2, 2)
    with pytest.raises(DtoolError, match="returned an ndarray, not a tensor"):
        drawn(lambda x, t: x.numpy(), backend="torch")
    with pytest.raises(DtoolError, match="on meta for x on cpu"):
        drawn(lambda x, t: x.to("meta"), backend="torch")
