"""What a run leaves beside its images: every step, and every call counted."""

import numpy as np
import pytest

import dtool
from dtool.models.network import Network
from tests.support.gaussian import SHAPE


def test_trace_holds_every_step(net: Network) -> None:
    for recipe in ("ddim", "heun"):
        out = dtool.sample(net, recipe, n=3, steps=9, trace=True)
        assert out.trace is not None
        assert out.trace.x.shape == (10, 3, *SHAPE)
        assert out.trace.x0.shape == (9, 3, *SHAPE)
        assert (out.trace.x[-1] == out.x0).all()
        assert (dtool.sample(net, recipe, n=3, steps=9).x0 == out.x0).all(), "looking changes nothing"


def test_trace_predicts_the_image(net: Network) -> None:
    out = dtool.sample(net, "ddim", n=2, steps=5, trace=True)
    assert out.trace is not None
    np.testing.assert_allclose(out.trace.x0[-1], out.x0, atol=1e-6)


def test_progress_counts_every_call(net: Network) -> None:
    seen: list[tuple[int, int]] = []
    dtool.sample(net, "heun", n=5, steps=4, batch_size=2, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i + 1, 21) for i in range(21)]  # 2·4 - 1 calls for each of 3 batches


def test_interruption_comes_through(net: Network) -> None:
    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dtool.sample(net, "ddim", progress=stop)
