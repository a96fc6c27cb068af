import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from dtool.metrics import evaluate_all, evaluate_stream, resolve_metric

NAMES = ["mmd", "energy", "fd", "density", "precision", "recall", "coverage"]


@pytest.fixture(scope="module")
def sets():
    law = dtool.targets.target("digits-gmm")
    return law.sample(1100, seed=0).astype(np.float32) * 0.9, law.sample(900, seed=1).astype(np.float32)


@pytest.fixture(scope="module")
def figures(sets):
    return evaluate_stream(*sets, NAMES)


def test_values_are_those_of_the_metrics_of_all_images(sets, figures):
    for name, figure in figures.items():
        metric = resolve_metric(name)
        reference = dtool.metrics.Reference(sets[1])
        wanted = metric(*(reference.points(metric, images, None) for images in sets))
        assert figure.value == pytest.approx(wanted, rel=1e-11), name
        assert (figure.n, figure.m) == (1100, 900)


def cut(images, step):
    return (images[i : i + step] for i in range(0, len(images), step))


def test_figures_have_the_same_bits_however_the_images_come(sets, figures):
    assert evaluate_stream(cut(sets[0], 64), cut(sets[1], 333), NAMES) == figures


def test_figures_are_near_those_of_evaluate(sets, figures):
    usual = evaluate_all(*sets, ["mmd", "fd"])
    for name, figure in usual.items():
        assert figures[name].low < figure.value < figures[name].high


def test_what_cannot_be_streamed_is_skipped_with_the_reason_or_refused_by_name(sets):
    skipped = evaluate_stream(*sets).skipped
    assert skipped["sliced-w2"] == "sliced-w2 needs all images at once"
    assert "agreement" in skipped
    with pytest.raises(UsageError, match="sliced-w2 needs all images at once"):
        evaluate_stream(*sets, ["sliced-w2"])
    with pytest.raises(UsageError, match="the reference is empty"):
        evaluate_stream(sets[0], iter(()))


def test_agreement_is_the_share_of_hits(sets):
    random = np.random.default_rng(0)
    labels = [random.integers(0, 2, len(images)) for images in sets]

    def classify(images):
        return (images.reshape(len(images), -1)[:, 30] > 0).astype(int)

    pieces = [[(images, own)] for images, own in zip(sets, labels, strict=True)]
    figure = evaluate_stream(*pieces, ["agreement"], classifier=classify)["agreement"]
    assert figure.value == np.mean(classify(sets[0]) == labels[0])
    assert figure.null_mean == np.mean(classify(sets[1]) == labels[1])
    assert evaluate_stream(*sets, classifier=classify).skipped["agreement"].startswith("agreement needs the classes")
