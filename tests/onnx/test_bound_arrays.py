"""Arrays that a session is bound to live as long as they are used, and are lent to one run at a time."""

import gc

import numpy as np
import pytest

import dtool


@pytest.mark.parametrize("n", [1, 2, 4, 16])
def test_what_is_bound_lives_as_long_as_it_is_called(n):
    net = dtool.default_network(device="cpu")
    random = np.random.default_rng(n)
    x = random.standard_normal((n, *net.shape)).astype(np.float32)
    t, label = np.full(n, 300, np.float32), random.integers(0, 9, n)
    expected = net.predict(x, t, label)
    call = net.bind(x, label.copy())
    gc.collect()
    taken = [np.full(shape, 9, dtype) for dtype in (np.int64, np.float32) for shape in (n, x.shape) for _ in range(50)]
    assert (call(x, t) == net.predict(x, t, label)).all()
    np.testing.assert_allclose(call(x, t), expected, rtol=0, atol=1e-5)
    assert len(taken) == 200


def test_bound_arrays_are_lent_to_one_at_a_time():
    net = dtool.default_network(device="cpu")
    x = np.random.default_rng(0).standard_normal((2, *net.shape)).astype(np.float32)
    t, labels = np.full(2, 300, np.float32), [np.array([k, 9 - k]) for k in range(4)]
    calls = [net.bind(x, label) for label in labels]
    assert len({id(call.home) for call in calls}) == 4
    expected = [net.predict(x, t, label) for label in labels]
    for _ in range(2):
        for call, image in zip(calls, expected, strict=True):
            np.testing.assert_allclose(call(x, t), image, rtol=0, atol=1e-5)
    homes = {id(call.home) for call in calls}
    del call, calls
    gc.collect()
    again = [net.bind(x, label) for label in labels]
    assert len({id(call.home) for call in again} & homes) >= 2, "those that were given back are lent again"
    for call, image in zip(again, expected, strict=True):
        np.testing.assert_allclose(call(x, t), image, rtol=0, atol=1e-5)


def test_images_are_the_callers_own():
    """What a run gives must not lie in arrays that the next run is lent."""
    net = dtool.default_network(device="cpu")
    first = dtool.sample(net, "ddim", steps=2, n=1, guidance=1.0).x0
    kept = first.copy()
    dtool.sample(net, "ddim", steps=2, ids=[7], guidance=1.0)
    np.testing.assert_array_equal(first, kept)
    start = np.random.default_rng(0).standard_normal((3, *net.shape)).astype(np.float32)
    own = dtool.sample(net, "ddim", steps=2, x=start, guidance=1.0).x0
    kept = own.copy()
    dtool.sample(net, "ddim", steps=2, x=-start, guidance=1.0)
    np.testing.assert_array_equal(own, kept)
