"""The Fréchet distance of Gaussians, against closed forms and the matrix square root."""

from __future__ import annotations

import numpy as np
import pytest

from dtool.measure.frechet import fit_gaussian, frechet_distance


def test_the_fitted_covariance_is_unbiased():
    features = np.array([[0.0, 1.0], [2.0, 5.0], [4.0, 0.0]])
    mean, covariance = fit_gaussian(features)
    off = features - features.mean(axis=0)
    assert mean.tolist() == [2.0, 2.0]
    assert covariance == pytest.approx(off.T @ off / 2, rel=1e-12)
    assert fit_gaussian(np.array([[1.0], [3.0]]))[1].tolist() == [[2.0]]


def test_frechet_of_diagonal_gaussians_is_the_closed_form():
    mean, other = np.array([1.0, -2.0, 0.5]), np.array([0.0, 1.0, 0.5])
    std, other_std = np.array([1.0, 2.0, 0.0]), np.array([0.5, 3.0, 1.0])
    expected = ((mean - other) ** 2).sum() + ((std - other_std) ** 2).sum()
    assert frechet_distance(mean, np.diag(std**2), other, np.diag(other_std**2)) == pytest.approx(expected, rel=1e-12)


def test_frechet_agrees_with_the_matrix_square_root():
    linalg = pytest.importorskip("scipy.linalg")
    random = np.random.default_rng(0)
    first, second = (random.standard_normal((12, 5)) for _ in range(2))
    a, b = first.T @ first / 12, second.T @ second / 12
    expected = np.trace(a + b - 2 * linalg.sqrtm(a @ b).real)
    assert frechet_distance(np.zeros(5), a, np.zeros(5), b) == pytest.approx(expected, rel=1e-9)


def test_frechet_does_not_change_under_rotation_and_is_symmetric():
    random = np.random.default_rng(1)
    rotation = np.linalg.qr(random.standard_normal((4, 4)))[0]
    mean, half = random.standard_normal(4), random.standard_normal((4, 4))
    a, b = half @ half.T, np.diag([1.0, 2.0, 3.0, 4.0])
    plain_value = frechet_distance(mean, a, np.zeros(4), b)
    turned = frechet_distance(rotation @ mean, rotation @ a @ rotation.T, np.zeros(4), rotation @ b @ rotation.T)
    assert turned == pytest.approx(plain_value, rel=1e-10)
    assert frechet_distance(np.zeros(4), b, mean, a) == pytest.approx(plain_value, rel=1e-10)


SEEDS = (0, 1, 2)


@pytest.mark.parametrize("seed", SEEDS)
def test_frechet_is_the_distance_of_gaussians(seed):
    random = np.random.default_rng(seed)
    a, b = (random.standard_normal((5, 5)) for _ in range(2))
    a, b, shift = a @ a.T, b @ b.T, random.standard_normal(5)
    roots = np.sqrt(np.linalg.eigvals(a @ b).astype(complex)).real.sum()
    wanted = shift @ shift + np.trace(a) + np.trace(b) - 2 * roots
    assert frechet_distance(shift, a, np.zeros(5), b) == pytest.approx(wanted, rel=1e-9)
    assert frechet_distance(shift, a, shift, a) == pytest.approx(0, abs=1e-9)
