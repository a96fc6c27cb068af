"""Three sets of noises that have nothing in common, and nothing with what users draw."""

import numpy as np

from dtool.fit.noises import SETS, draw_noises, match_moments
from dtool.targets import target


def test_sets_are_disjoint_and_a_seed_is_the_same_again():
    net = target("digits-gmm").network()
    drawn = {kind: draw_noises(net, kind, 6, seed=4, scale=1.0) for kind in SETS}
    flat = np.concatenate([one.z.reshape(6, -1) for one in drawn.values()])
    assert np.abs(np.corrcoef(flat) - np.eye(len(flat))).max() < 0.6, "64 numbers each"
    assert np.array_equal(drawn["training"].z, draw_noises(net, "training", 6, seed=4, scale=1.0).z)
    assert not np.array_equal(drawn["training"].z, draw_noises(net, "training", 6, seed=5, scale=1.0).z)


def test_classes_come_in_turn_or_as_they_are_named():
    net = target("digits-gmm").network()
    named = draw_noises(net, "judging", 4, seed=0, scale=1.0, labels=[7, 2])
    assert sorted(set(named.options["labels"])) == [2, 7]
    assert len(set(draw_noises(net, "judging", 10, seed=0, scale=1.0).options["labels"])) == 10
    assert named.take(slice(1, 3)).options["labels"] == named.options["labels"][1:3]


def test_moments_are_made_exact_where_there_are_enough_images():
    net = target("gaussian:d=3").network()
    z = draw_noises(net, "training", 12, seed=0, scale=1.0).z
    assert np.abs(z.mean(axis=0)).max() < 1e-12
    assert np.abs(z.T @ z / 12 - np.eye(3)).max() < 1e-12
    judged = draw_noises(net, "judging", 12, seed=0, scale=1.0).z
    assert np.abs(judged.T @ judged / 12 - np.eye(3)).max() > 1e-3, "judging noises stay as they are"
    moved = match_moments(judged)
    assert np.abs(moved - judged).max() < 1, "they are turned as little as possible"
