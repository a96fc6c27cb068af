"""dtool.compare: the Fréchet distance against closed forms, timing, and what a comparison holds."""

from __future__ import annotations

import json

import numpy as np
import pytest
from commandline import SHAPE, network

import dtool
from dtool import picture
from dtool.compare.frechet import distance, floors
from dtool.compare.timing import medians
from dtool.data.pooled import default_grid, fitted, pooled, statistics
from dtool.errors import DtoolError, UsageError
from dtool.metrics.frechet import frechet
from dtool.picture import Row, columns_for, enlarged, grid, labelled, pixels, plain, text_width


def test_frechet_of_diagonal_gaussians_is_the_closed_form():
    mean, other = np.array([1.0, -2.0, 0.5]), np.array([0.0, 1.0, 0.5])
    std, other_std = np.array([1.0, 2.0, 0.0]), np.array([0.5, 3.0, 1.0])
    expected = ((mean - other) ** 2).sum() + ((std - other_std) ** 2).sum()
    assert frechet(mean, np.diag(std**2), other, np.diag(other_std**2)) == pytest.approx(expected, rel=1e-12)


def test_frechet_agrees_with_the_matrix_square_root():
    linalg = pytest.importorskip("scipy.linalg")
    random = np.random.default_rng(0)
    first, second = (random.standard_normal((12, 5)) for _ in range(2))
    a, b = first.T @ first / 12, second.T @ second / 12
    expected = np.trace(a + b - 2 * linalg.sqrtm(a @ b).real)
    assert frechet(np.zeros(5), a, np.zeros(5), b) == pytest.approx(expected, rel=1e-9)


def test_frechet_does_not_change_under_rotation_and_is_symmetric():
    random = np.random.default_rng(1)
    rotation = np.linalg.qr(random.standard_normal((4, 4)))[0]
    mean, half = random.standard_normal(4), random.standard_normal((4, 4))
    a, b = half @ half.T, np.diag([1.0, 2.0, 3.0, 4.0])
    plain_value = frechet(mean, a, np.zeros(4), b)
    turned = frechet(rotation @ mean, rotation @ a @ rotation.T, np.zeros(4), rotation @ b @ rotation.T)
    assert turned == pytest.approx(plain_value, rel=1e-10)
    assert frechet(np.zeros(4), b, mean, a) == pytest.approx(plain_value, rel=1e-10)


def test_the_distance_of_a_data_set_to_itself_is_nothing_and_grows_with_a_shift():
    images = np.random.default_rng(2).standard_normal((200, *SHAPE))
    own = statistics(images)
    assert distance(images, own) == pytest.approx(0, abs=1e-9)
    assert distance(images + 0.5, own) == pytest.approx(0.25 * len(own.mean), rel=1e-9)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 9, 7), (1, 5, 11), (1, 2, 3)])
def test_pooling_is_torch_s_adaptive_average(shape):
    torch = pytest.importorskip("torch")
    images = np.random.default_rng(3).standard_normal((4, *shape)).astype(np.float32)
    place = default_grid(shape)
    expected = torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(images), place).flatten(1)
    np.testing.assert_allclose(pooled(images, place), expected.numpy(), atol=1e-6)


def test_the_floor_falls_with_n_and_depends_on_nothing_else():
    reference = network().spec.statistics
    means = [floors(reference, n).mean() for n in (8, 64, 512)]
    assert means[0] > means[1] > means[2] > 0
    assert floors(reference, 64).mean() == means[1]


def test_what_cannot_be_measured_is_refused():
    reference = statistics(np.random.default_rng(5).standard_normal((50, *SHAPE)))
    with pytest.raises(UsageError, match="one image has no covariance"):
        fitted(np.zeros((1, 3)))
    with pytest.raises(UsageError, match="192 features, the reference 64"):
        distance(np.zeros((4, 3, 12, 10)) + np.arange(4).reshape(4, 1, 1, 1), reference)
    with pytest.raises(UsageError, match="no pictures"):
        statistics(np.zeros((4, 7)))


def test_the_contestants_take_turns_forwards_and_backwards():
    order = []
    runs = [lambda i=i: order.append(i) or float(len(order)) for i in range(3)]
    assert medians(runs, 3) == [6.0, 5.0, 4.0]
    assert order == [0, 1, 2, 2, 1, 0, 0, 1, 2]


def test_a_comparison_has_a_row_a_recipe_and_step_count_from_the_same_noise():
    net, calls = network(), []
    found = dtool.compare(
        net,
        ["ddim", "ddpm:sigma=tilde", "ddim:eta=0"],
        steps=(6, 3),
        n=5,
        repeats=1,
        progress=lambda *now: calls.append(now),
    )
    rows = [(e.name, e.recipe, e.steps, e.calls) for e in found.entries]
    assert rows[:2] == [("ddim", "ddim", 3, 3), ("ddim", "ddim", 6, 6)]
    assert rows[2:] == [("ddpm:sigma=tilde", "ddpm", 3, 3), ("ddpm:sigma=tilde", "ddpm", 6, 6)]
    assert found.images.shape == (4, 5, *SHAPE)
    alone = dtool.sample(net, "ddim", steps=6, n=5)
    np.testing.assert_array_equal(found.images[1], alone.x0)
    assert found.rmse[1, 2] == pytest.approx(np.sqrt(np.mean((found.images[1] - found.images[2]) ** 2)), rel=1e-5)
    assert (np.diag(found.rmse) == 0).all()
    assert all(e.seconds > 0 and e.images_per_second == pytest.approx(5 / e.seconds) for e in found.entries)
    done, total, _ = zip(*calls, strict=True)
    assert list(done) == sorted(done)
    assert done[-1] == total[-1]


def test_a_good_sampler_scores_better_than_a_bad_one():
    found = dtool.compare(network(), ["ddim"], steps=[1, 20], n=60, repeats=1)
    coarse, fine = (entry.figures["fd"] for entry in found.entries)
    assert fine.value < coarse.value
    assert fine.low < fine.value < fine.high
    assert found.metrics[0].null_mean > 0


def test_too_few_samples_are_said_to_be_too_few():
    found = dtool.compare(network(), ["ddim"], steps=2, n=5, repeats=1)
    assert found.entries[0].figures == {}
    assert "too few for 12 features" in found.metrics[0].skipped


def test_without_a_reference_there_is_no_law():
    bare = dtool.network(lambda x, t: x, shape=SHAPE)
    found = dtool.compare(bare, ["ddim"], steps=2, n=2, repeats=1)
    assert found.data is None
    assert found.entries[0].figures == {}
    given = statistics(np.random.default_rng(0).standard_normal((50, *SHAPE)))
    against = dtool.compare(bare, ["ddim"], steps=2, n=160, repeats=1, reference=given)
    assert against.entries[0].figures["fd"].value > 0


def test_the_json_form_is_complete_and_json():
    found = dtool.compare(network(), ["ddim", "heun"], steps=2, n=2, repeats=1)
    data = json.loads(found.to_json())
    assert [entry["calls"] for entry in data["entries"]] == [2, 3]
    assert np.array(data["rmse"]).shape == (2, 2)
    assert data["data"]["count"] == 120
    assert {"rmse", "psnr", "judged"} <= data["entries"][0]["solver"].keys()
    assert data["reference"]["recipe"]
    assert data["entries"][0]["points"]["alpha_bar"][0] < data["entries"][0]["points"]["alpha_bar"][1]


def test_one_image_has_a_row_but_no_quality():
    found = dtool.compare(network(), ["ddim"], steps=2, n=1, repeats=1)
    assert found.data is None
    assert found.entries[0].figures == {}


def test_a_comparison_of_nothing_is_refused():
    net = network()
    with pytest.raises(UsageError, match="no recipe to compare"):
        dtool.compare(net, [])
    with pytest.raises(UsageError, match="no number of steps"):
        dtool.compare(net, ["ddim"], steps=[])
    with pytest.raises(UsageError, match="nothing would be timed"):
        dtool.compare(net, ["ddim"], repeats=0)


def test_pixels_map_the_range_and_cut_off_what_is_beyond():
    values = np.array([[[[-2.0, -1.0, 0.0, 1.0, 5.0]]]])
    assert pixels(values)[0, 0, :, 0].tolist() == [0, 0, 128, 255, 255]
    assert pixels(values, (0, 5))[0, 0, :, 1].tolist() == [0, 0, 0, 51, 255]
    assert pixels(np.zeros((2, 4, 6))).shape == (2, 4, 6, 3)
    colours = np.stack([np.full((2, 2), c) for c in (-1.0, 0.0, 1.0)])[None]
    assert pixels(colours)[0, 0, 0].tolist() == [0, 128, 255]


def test_what_is_no_picture_is_refused():
    with pytest.raises(UsageError, match=r"shape \(2,\) are no pictures"):
        pixels(np.zeros((4, 2)))
    with pytest.raises(DtoolError, match="not finite"):
        pixels(np.full((1, 1, 2, 2), np.nan))


@pytest.mark.parametrize(
    ("count", "classes", "columns"),
    [(16, 10, 4), (30, 10, 10), (10, 10, 5), (7, 0, 3), (1, 0, 1), (12, 0, 4), (11, 3, 4)],
)
def test_columns(count, classes, columns):
    assert columns_for(count, classes) == columns


def test_the_grid_shows_every_image_enlarged_by_whole_pixels():
    tiles = np.random.default_rng(6).integers(0, 256, (5, 4, 4, 3), dtype=np.uint8)
    big = enlarged(tiles, 9)
    assert big.shape == (5, 8, 8, 3)
    drawn = np.asarray(grid(tiles, 3, side=8))
    assert drawn.shape == (2 * 8 + 3 * 3, 3 * 8 + 4 * 3, 3)
    np.testing.assert_array_equal(drawn[14:22, 14:22], big[4])
    assert (drawn[14:22, 25:33] == 255).all()


def test_labels_are_never_cut_off():
    long = "a-very-long-recipe-name:with=options@cosine:max_beta=0.99/karras:rho=5"
    tiles = np.zeros((2, 8, 8, 3), np.uint8)
    drawn = np.asarray(labelled([Row(long, "", tiles)], ["first head", "second"], "title " * 30, side=8)).min(axis=2)
    assert drawn.shape[1] >= text_width(long, 15) + 2 * 8 + 2 * 16
    assert (drawn[:, :14] == 255).all(), "the left margin is clear"
    assert (drawn[:, -14:] == 255).all(), "the right margin is clear"


def test_text_that_the_typeface_lacks_is_spelt():
    assert plain("β̃ → σ") == "beta? to sigma"
    assert plain("MMD² of 8×8") == "MMD^2 of 8x8"
    assert picture.text_width("β", 12) == picture.text_width("beta", 12)
