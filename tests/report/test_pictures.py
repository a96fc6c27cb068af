"""The pictures of the page."""

import numpy as np
import pytest

from dtool.report import pictures, render_page
from dtool.run.micro_batches import Trace
from tests.support import report_documents
from tests.support.report_pages import decode_pixels, draw_images, draw_traces, make_small_document, read_data


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 6, 10), (5, 7)], ids=str)
def test_the_pictures_are_the_samples(shape):
    document = report_documents.document(("ddim", "ddpm"), (3, 6), n=4, shape=shape)
    document["data_range"] = [0.0, 2.0]
    images = 1 + draw_images(document)
    traces = draw_traces(document, images)
    traces[2] = None
    content = read_data(render_page(document, images, traces))["pictures"]
    height, width = shape[-2:]
    assert (content["width"], content["height"], content["count"], content["frames"]) == (width, height, 3, 7)
    for row, final, trace in zip(content["rows"], images, traces, strict=True):
        sheet = decode_pixels(row["x"] or row["final"])
        frames = len(row["at"])
        assert sheet.shape == (3 * height, frames * width, 3)
        assert row["at"] == ([0] if trace is None else [*range(row["steps"] + 1)])
        colour = np.broadcast_to(final.reshape(3, -1, height, width), (3, 3, height, width))
        for i in range(3):
            tile = sheet[i * height : (i + 1) * height, (frames - 1) * width :]
            assert np.abs(tile - 255 * np.moveaxis(colour[i], 0, -1) / 2).max() <= 0.51
        if trace is not None:
            guess = np.broadcast_to(trace["x0"][1, 2].reshape(-1, height, width), (3, height, width))
            tile = decode_pixels(row["x0"])[2 * height :, width : 2 * width]
            expected = 255 * np.moveaxis(guess, 0, -1).clip(0, 2) / 2
            assert np.abs(tile - expected).max() <= 0.51 * 255 / (pictures.LEVELS["x0"][0] - 1) + 0.5


def test_a_trace_is_a_mapping_or_an_object_and_may_hold_more_images(page):
    document, images, traces, text = page
    more = [Trace(*(np.concatenate([part, part], axis=1) for part in trace.values())) for trace in traces]
    assert read_data(render_page(document, images, more))["pictures"] == read_data(text)["pictures"]


def test_states_that_are_not_finite_or_explode_can_be_seen():
    document = make_small_document(("ddim",), (5,))
    images = draw_images(document)
    (trace,) = draw_traces(document, images)
    trace["x"][0] *= 80
    trace["x"][1, 0, 0, 0, 0] = np.nan
    sheet = decode_pixels(read_data(render_page(document, images, [trace]))["pictures"]["rows"][0]["x"])
    first = sheet[:, :8]
    assert ((first > 10) & (first < 245)).mean() > 0.25, "scaled into the range, not cut off at its ends"
    assert abs(sheet[0, 8] - 127.5).max() < 255 / (pictures.LEVELS["x"][0] - 1)


@pytest.mark.parametrize("seed", range(5))
def test_what_is_shown_fits_the_budget(seed):
    random = np.random.default_rng(seed)
    for _ in range(50):
        rows, images, frames = (int(random.integers(1, end)) for end in (30, 100, 1001))
        shape = (int(random.choice([1, 3])), *(int(side) for side in random.integers(1, 1025, 2)))
        fits = pictures.fit_layout(rows, images, frames, shape, budget=2_000_000)
        size = np.prod([shape[0], *(-(-side // fits.shrink) for side in shape[1:])])
        assert 1 <= fits.images <= min(images, pictures.IMAGES)
        assert 0 <= fits.frames <= min(frames, pictures.FRAMES)
        assert rows * fits.images * (2 * fits.frames + 1) * size <= 2_000_000 or (fits.images, fits.frames) == (1, 0)
    assert pictures.choose_states(1001, 21) == [*range(0, 1001, 50)]
    assert pictures.choose_states(5, 21) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("side", [129, 256, 300])
def test_large_images_are_averaged(side):
    random = np.random.default_rng(side)
    values = random.normal(size=(2, 3, side, side + 1))
    small_one = pictures._shrink(values, 3)
    assert small_one.shape == (2, 3, -(-side // 3), -(-(side + 1) // 3))
    assert np.allclose(small_one[..., 5, 7], values[..., 15:18, 21:24].mean(axis=(-2, -1)))
    assert np.allclose(small_one[..., -1, 0], values[..., 3 * ((side - 1) // 3) :, :3].mean(axis=(-2, -1)))


@pytest.mark.parametrize(("shape", "marks"), [((1,), "circle"), ((2,), "circle"), ((16,), "line")], ids=str)
def test_samples_that_are_no_pictures(shape, marks):
    document = report_documents.document(("ddim", "ddpm"), (3,), n=4, shape=shape)
    content = read_data(render_page(document, draw_images(document, k=50)))
    assert content["pictures"] is None
    spec = content["charts"]["samples"]["spec"]
    assert spec["spec"]["mark"]["type"] == marks
    rows = spec["datasets"]["rows"]
    assert len(rows) == 2 * (50 if marks == "circle" else 8 * 16)


def test_samples_that_cannot_be_drawn_are_explained():
    document = report_documents.document(("ddim",), (3,), n=4, shape=(4, 32, 32))
    text = render_page(document, draw_images(document))
    assert "A sample of shape 4 × 32 × 32 is not a picture." in text
