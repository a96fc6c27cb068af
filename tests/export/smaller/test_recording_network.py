"""What a network sees in a run, recorded for calibration."""

from __future__ import annotations

import numpy as np
import pytest

import dtool

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

from dtool.export.smaller.int8 import collect_calibration  # noqa: E402
from dtool.run.sampling import sample  # noqa: E402


@pytest.mark.parametrize("recipe", ["ddim", "dpmpp-2m/karras", "heun", "ddpm"])
def test_calibration_is_what_the_network_is_given(unet, recipe):
    plan = dtool.plan(recipe, steps=4, network=unet.network)
    runs = list(collect_calibration(unet.network, plan, images=3, seed=7))
    assert [float(feed["t"][0]) for feed in runs] == plan.time.astype(np.float32).tolist()
    assert all(feed["x"].shape == (3, *unet.spec.shape) and feed.keys() == {"x", "t"} for feed in runs)
    trace = sample(unet.network, plan, n=3, seed=7, trace=True).trace
    starts = np.flatnonzero(np.r_[True, plan.step_end[:-1]])
    for step, row in enumerate(starts):
        expected = trace.x[step] * plan.c_in[row]
        assert np.allclose(runs[row]["x"], expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_guidance_calibrates_both_halves():
    seen = []

    def network(x, t, label):
        seen.append(label.copy())
        return 0.1 * x

    net = dtool.network(network, shape=(2,), classes=3)
    plan = dtool.plan("ddim", steps=3, network=net)
    for labels, guidance, wanted in ((None, 2.0, [3, 3, 0, 1]), ([2, -1], 2.0, [3, 3, 2, 3]), (1, 1.0, [1, 1])):
        seen.clear()
        runs = list(collect_calibration(net, plan, images=2, labels=labels, guidance=guidance))
        assert [feed["label"].tolist() for feed in runs] == [wanted] * 3 == [label.tolist() for label in seen]


@pytest.mark.parametrize("room", [1, 100, 400, 1000])
def test_a_limit_of_memory_changes_nothing_that_is_seen(room):
    net = dtool.network(lambda x, t: np.tanh(x) * t[:, None] / 1000, shape=(3,))
    plan = dtool.plan("ddpm", steps=6, network=net)

    def rows(**limit):
        runs = collect_calibration(net, plan, images=5, seed=2, **limit)
        return sorted((float(t), *x.tolist()) for feed in runs for x, t in zip(feed["x"], feed["t"], strict=True))

    assert rows(room=room) == rows()
    assert len(rows()) == 30
    largest = max(sum(v.nbytes for v in feed.values()) for feed in collect_calibration(net, plan, images=5, room=room))
    assert largest <= max(room, 28)
