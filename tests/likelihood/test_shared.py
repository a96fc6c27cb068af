import pickle

import numpy as np
import pytest

import dtool
from dtool.likelihood import bound, measure_chain_variance, ode
from dtool.likelihood.shared import BLOCK, LikelihoodJob, measure_block, measure_shared

COUNT = 2 * BLOCK + 5


def open_gaussian():
    return dtool.targets.target("gaussian:d=2").network()


@pytest.fixture(scope="module")
def images():
    return dtool.targets.target("gaussian:d=2").sample(COUNT, seed=3)


def measure(images, method, workers=1, **options):
    job = LikelihoodJob(opener=open_gaussian, method=method, options=options)
    return measure_shared(job, images, list(range(10, 10 + COUNT)), None, workers=workers)


def test_a_bound_in_blocks_is_that_of_all_images(images):
    statistics = measure_chain_variance(open_gaussian(), images, 5)
    options = {"plan": 5, "levels": None, "statistics": statistics, "seed": 4}
    ours = measure(images, "bound", **options)
    usual = bound(open_gaussian(), images, ids=range(10, 10 + COUNT), **options)
    assert np.array_equal(ours.per_image, usual.per_image)
    np.testing.assert_allclose(ours.mse, usual.mse, rtol=1e-13)
    assert (ours.n, ours.seconds) == (COUNT, None)
    assert ours.to_dict()["seconds"] is None


def test_two_workers_give_the_bits_of_one(images):
    one, two = (measure(images, "bound", workers, plan=3, levels=None, variance="beta") for workers in (1, 2))
    assert one.to_dict() == two.to_dict()


def test_densities_in_blocks_are_those_of_all_images(images):
    ours = measure(images, "ode", levels=None, tolerance=1e-4)
    usual = ode(open_gaussian(), images, ids=range(10, 10 + COUNT), levels=None, tolerance=1e-4)
    np.testing.assert_allclose(ours.per_image, usual.per_image, rtol=1e-12)
    assert ours.checked == 12
    assert ours.error >= usual.error
    assert ours.calls == pytest.approx(usual.calls)


def test_progress_counts_images(images):
    told = []
    job = LikelihoodJob(opener=open_gaussian, method="bound", options={"plan": 2, "levels": None, "variance": "beta"})
    measure_shared(job, images, list(range(COUNT)), None, progress=lambda *done: told.append(done))
    assert told == [(16, COUNT), (32, COUNT), (COUNT, COUNT)]
    assert job.network is job.network
    again = pickle.loads(pickle.dumps((job, measure_block)))[0]
    assert "network" not in vars(again), "each process opens its own"
