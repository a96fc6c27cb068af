"""What a smaller network loses, and when that is refused."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError, GateError

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

from dtool.export.smaller import loss as losses  # noqa: E402
from dtool.export.smaller.emulated_half import emulate_half  # noqa: E402
from dtool.export.smaller.half import convert_to_half  # noqa: E402
from dtool.export.smaller.loss import CompressionLoss, measure_loss, require_small_loss  # noqa: E402
from dtool.measure.pooled_pixels import distance, statistics  # noqa: E402
from dtool.run.sampling import sample  # noqa: E402
from tests.support.small_exports import PLAIN, load_proto, overflowing  # noqa: E402


def by(function, **fields):
    """A network that predicts the image: what a run ends with is its last answer."""
    return dtool.network(function, prediction="x0", **{"shape": (4,), **fields})


def compare(one, other, **options) -> CompressionLoss:
    plan = dtool.plan("ddim", steps=4, network=one)
    return measure_loss(one, other, plan, **{"kind": "half", "sizes": (100, 50), "repeats": 0, **options})


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
def test_the_loss_is_what_it_is_by_hand(unit):
    """The last answer is off by 0.1 of a unit everywhere; in other units of the data, the same part is lost."""
    one = by(lambda x, t: np.clip(unit * np.tanh(5 * x), -unit, unit))
    other = by(lambda x, t: np.clip(unit * np.tanh(5 * x), -unit, unit) + np.float32(0.1 * unit))
    plan = dtool.plan("ddim", steps=1, network=one)
    found = measure_loss(one, other, plan, kind="int8", sizes=(100, 50), n=200, repeats=0)
    images = sample(one, plan, n=200, seed=1).x0
    low, high = np.quantile(images, [0.005, 0.995])
    assert found.span == pytest.approx(high - low, rel=1e-6)
    for figure in (found.rmse, found.median, found.worst, found.largest):
        assert figure == pytest.approx(0.1 * unit, rel=1e-4)
    assert found.relative == pytest.approx(0.1 * unit / (high - low), rel=1e-4)
    assert found.psnr == pytest.approx(-20 * np.log10(found.relative))
    wanted = 0.1 * unit * np.sqrt(images.size) / np.linalg.norm(images)
    assert found.call == pytest.approx(wanted, rel=1e-4)
    assert found.worst_time == plan.time[0]


def test_the_worst_call_and_its_time():
    def off(x, t):
        return np.tanh(x) * np.where(t > 700, 1.5, 1.01)[:, None].astype(np.float32)

    one = by(lambda x, t: np.tanh(x))
    found = compare(one, by(off))
    times = dtool.plan("ddim", steps=4, network=one).time
    assert found.worst_time in times[times > 700]
    assert found.worst_call == pytest.approx(0.5, rel=1e-4)
    assert found.call == pytest.approx(np.where(times > 700, 0.5, 0.01).mean(), rel=1e-4)


def test_nothing_lost():
    one = by(lambda x, t: np.tanh(x), shape=(1, 4, 4))
    found = compare(one, one)
    assert (found.rmse, found.relative, found.call, found.worst_call) == (0, 0, 0, 0)
    assert found.psnr == math.inf
    assert found.quality is None
    assert json.loads(json.dumps(found.to_dict()))["psnr"] is None
    require_small_loss(found, 0.0)


def test_quality_is_the_distance_of_each():
    random = np.random.default_rng(0)
    known = statistics(random.uniform(-1, 1, (50, 1, 6, 6)), (3, 3))
    one, other = (by(lambda x, t, a=a: np.tanh(a * x), shape=(1, 6, 6)) for a in (3, 1))
    one.spec = one.spec.model_copy(update={"statistics": known})
    found = compare(one, other, n=20)
    plan = dtool.plan("ddim", steps=4, network=one)
    for network, got in ((one, found.quality.original), (other, found.quality.small)):
        assert got == pytest.approx(distance(sample(network, plan, n=20, seed=1).x0, known), rel=1e-6)
    assert found.quality.small != found.quality.original
    assert "Fréchet" in str(found)


def test_a_loss_above_the_threshold_is_refused():
    one, other = by(lambda x, t: np.tanh(x)), by(lambda x, t: np.tanh(x) * np.float32(1.2))
    found = compare(one, other)
    assert found.relative > losses.ALLOWED
    figure = re.escape(f"{found.relative:.2%}")
    with pytest.raises(GateError, match=rf"half moves the images by {figure} .* allowed are 3.00%") as caught:
        require_small_loss(found)
    assert "--allow-loss" in caught.value.hint
    require_small_loss(found, found.relative)
    require_small_loss(found, math.inf)
    with pytest.raises(DtoolError):
        require_small_loss(found, found.relative * 0.999)


def test_what_is_not_finite_is_refused():
    made = convert_to_half(overflowing())
    net, emulation = load_proto(overflowing(), PLAIN), load_proto(emulate_half(made), PLAIN)
    plan = dtool.plan("ddim", steps=3, network=net)
    sizes = {"kind": "half", "sizes": (2, 1), "repeats": 0}
    with pytest.raises(DtoolError, match=r"not finite, at t = ") as caught:
        measure_loss(net, load_proto(made, PLAIN), plan, emulation=emulation, **sizes)
    assert "half" in caught.value.hint
