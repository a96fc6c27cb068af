"""The variance that is measured of a network: the closed form on Gaussian data, and what cannot be measured."""

import json

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from dtool.plan import plan
from dtool.samplers.engines.variance_statistics import VarianceStatistics, posterior_variance
from dtool.schedulers import get_scheduler


def gaussian_network(std, prediction="eps", levels="cosine", **more):
    table = get_scheduler(levels)

    def fn(x, t, label=None):
        alpha, sigma = (v.reshape(-1, *[1] * (x.ndim - 1)) for v in table.level(t))
        eps = sigma * x / (alpha**2 * std**2 + sigma**2)
        x0 = alpha * std**2 * x / (alpha**2 * std**2 + sigma**2)
        return {"eps": eps, "x0": x0, "v": alpha * eps - sigma * x0, "flow": eps - x0}[prediction]

    return dtool.network(fn, shape=(40,), schedule=levels, prediction=prediction, **more)


@pytest.mark.parametrize("prediction", ["eps", "x0", "v", "flow"])
def test_what_is_measured_is_the_closed_form(tmp_path, prediction):
    """At n·d = 40,000 normal numbers a mean square is known to 1 / √20,000."""
    std, path = 0.5, tmp_path / "stats.json"
    images = std * np.random.default_rng(0).standard_normal((1000, 40))
    seen = []
    found = dtool.measure_variance(
        gaussian_network(std, prediction), images, path, levels=12, progress=lambda *at: seen.append(at)
    )
    exact = 1 / (1 + np.exp(-2 * found.lam) / std**2)
    assert found.missed == pytest.approx(exact, rel=5 / np.sqrt(20_000))
    assert found.lam.size == 12
    assert (found.lam[0], found.lam[-1]) == (get_scheduler("cosine").lam[-1], get_scheduler("cosine").lam[0])
    assert seen[-1] == (12, 12)
    again = VarianceStatistics.read(path)
    np.testing.assert_array_equal(again.missed, found.missed)
    assert (again.bound, again.images) == (1.0, 1000)
    wanted = 1 / (std**-2 + np.exp(2 * found.lam))
    assert [posterior_variance(str(path), lam) for lam in found.lam] == pytest.approx(wanted, rel=5 / np.sqrt(20_000))


def test_samples_are_as_wide_as_the_data(tmp_path):
    """The whole way: measure, then sample in six steps. Without it, six steps of DDPM are too narrow by a quarter."""
    net = gaussian_network(0.5)
    images = 0.5 * np.random.default_rng(1).standard_normal((2000, 40))
    path = tmp_path / "stats.json"
    dtool.measure_variance(net, images, path, levels=50)
    runs = [
        dtool.sample(net, plan(token, steps=6, end=30.0, network=net), n=500, seed=3).x0.std() / 0.5
        for token in (f"analytic-ddpm:stats={json.dumps(str(path))}", "ddpm")
    ]
    assert runs[0] == pytest.approx(1, abs=0.03)
    assert runs[1] < 0.9


def test_measuring_does_not_depend_on_the_batch_and_not_on_the_run():
    net = gaussian_network(0.5)
    images = np.random.default_rng(2).uniform(-1, 1, (30, 40))
    one = dtool.measure_variance(net, images, levels=3)
    net.micro_batch = 7
    assert dtool.measure_variance(net, images, levels=3).missed == pytest.approx(one.missed, rel=1e-6)
    assert dtool.measure_variance(net, images, levels=3, seed=1).missed != pytest.approx(one.missed, rel=1e-6)


def test_a_conditional_network_and_one_with_a_variance():
    plain = gaussian_network(0.5)
    images = np.random.default_rng(3).uniform(-1, 1, (20, 40))
    wanted = dtool.measure_variance(plain, images, levels=2).missed
    conditional = dtool.network(
        lambda x, t, label: plain.fn(x, t) * np.where(label == 3, 0, 1)[:, None],
        shape=(40,), schedule="cosine", classes=5,
    )  # fmt: skip
    assert dtool.measure_variance(conditional, images, levels=2).missed == pytest.approx(wanted)
    mute = dtool.measure_variance(conditional, images, labels=[3] * 20, levels=2)
    assert mute.missed == pytest.approx(np.ones(2), abs=0.2)
    double = dtool.network(
        lambda x, t: np.tile(plain.fn(x, t), (1, 2)), shape=(40,), schedule="cosine", learned_variance=True
    )
    assert dtool.measure_variance(double, images, levels=2).missed == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": np.zeros((3, 5))}, "the network's are"),
        ({"images": np.zeros((0, 40))}, "the network's are"),
        ({"levels": 0}, "0 levels"),
        ({"labels": [1, 2]}, "not conditional"),
    ],
)
def test_what_cannot_be_measured(arguments, message):
    with pytest.raises(UsageError, match=message):
        dtool.measure_variance(gaussian_network(0.5), **{"images": np.zeros((2, 40)), **arguments})


BLACK = np.zeros((64, 5))


def exact(x, t):
    """The noise in x, where every image is black: x/σ."""
    sigma = dtool.get_scheduler("linear").level(t)[1]
    return (x / sigma[:, None]).astype(x.dtype)


def test_a_network_that_knows_the_noise_misses_nothing():
    stats = dtool.measure_variance(dtool.network(exact, shape=(5,)), BLACK, levels=4)
    assert stats.missed == pytest.approx(np.zeros(4), abs=1e-12)
    assert (np.diff(stats.lam) > 0).all()
    assert stats.images == 64


def test_one_that_says_nothing_misses_the_whole_variance():
    stats = dtool.measure_variance(dtool.network(lambda x, t: 0 * x, shape=(5,)), BLACK, levels=3)
    assert stats.missed == pytest.approx(np.ones(3), abs=6 * np.sqrt(2 / BLACK.size))  # of z², whose variance is 2


def test_what_is_written_is_read(tmp_path):
    net, done = dtool.network(exact, shape=(5,)), []
    stats = dtool.measure_variance(
        net, BLACK + 0.25, tmp_path / "s.json", levels=3, progress=lambda *of: done.append(of)
    )
    again = VarianceStatistics.read(tmp_path / "s.json")
    assert (again.lam == stats.lam).all()
    assert (again.missed == stats.missed).all()
    assert done == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("images", "levels", "cause"), [(BLACK[:, :4], 3, "images have shape"), (BLACK, 0, "0 levels")]
)
def test_what_cannot_be_measured_is_refused(images, levels, cause):
    with pytest.raises(UsageError, match=cause) as caught:
        dtool.measure_variance(dtool.network(exact, shape=(5,)), images, levels=levels)
    assert caught.value.hint
