"""An autoencoder's run: no interruption changes the result, and it goes on with what it began with alone."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")
diffusers = pytest.importorskip("diffusers")
from dtool.errors import DtoolError, UsageError  # noqa: E402
from dtool.training.codec_folder import CONFIG, STATE, WEIGHTS, read_state  # noqa: E402
from tests.support.codec_training import LATENT, codec_session, make_pictures, train_codec, write_pictures  # noqa: E402
from tests.support.training import assert_same_content  # noqa: E402


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("data") / "pictures.npz")


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_codec(data, tmp_path_factory.mktemp("whole") / "codec")


def test_stopped_and_resumed_is_bit_for_bit_uninterrupted(data: Path, whole: Path, tmp_path: Path) -> None:
    """Stopped without warning after step 5: what was saved after step 3 goes on."""
    stopped = tmp_path / "codec"
    for progress in codec_session(data, stopped).run():
        if progress.step == 5:
            break
    assert read_state(stopped)["step"] == 3
    resumed = codec_session(data, stopped, resume=True)
    for _ in resumed.run():
        pass
    assert_same_content(read_state(whole), read_state(stopped))
    for name in (CONFIG, WEIGHTS):
        assert (whole / name).read_bytes() == (stopped / name).read_bytes()


def test_what_is_written_has_unit_latents_and_is_what_was_trained(data: Path, whole: Path) -> None:
    opened = diffusers.AutoencoderKL.from_pretrained(whole).eval()
    session = codec_session(data, whole, resume=True, steps=9)
    pixels = torch.from_numpy(session.trainer.images.take())
    with torch.no_grad():
        latents = opened.encode(pixels).latent_dist.mean
        pictures = opened.decode(latents).sample
        average = session.trainer.get_average()
        expected = average.decode(average.encode(pixels).latent_dist.mean).sample
    assert tuple(latents.shape[1:]) == LATENT
    torch.testing.assert_close(latents.mean((0, 2, 3)), torch.zeros(2), atol=1e-3, rtol=0)
    torch.testing.assert_close(latents.std((0, 2, 3)), torch.ones(2), atol=1e-2, rtol=0)
    torch.testing.assert_close(pictures, expected, atol=1e-4, rtol=0)


def test_the_psnr_is_of_what_is_held_out(data: Path, tmp_path: Path) -> None:
    session = codec_session(data, tmp_path / "codec")
    assert session.held_out is not None
    assert (len(session.trainer.images), len(session.held_out)) == (18, 6)
    decibels, of_which = session.measure()
    assert of_which == "6 held-out pictures"
    assert decibels == session.trainer.measure_psnr(session.held_out)
    everything = codec_session(data, tmp_path / "codec", validation=0.0)
    assert everything.measure()[1] == "24 pictures that it was trained on"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "has all its 8 steps"),
        ({"seed": 4}, "trained with --seed 3, not 4"),
        ({"latent_channels": 3}, "trained with --latent-channels 2, not 3"),
        ({"kl": 0.0}, "trained with --kl 1e-06, not 0.0"),
    ],
)
def test_resuming_another_run_is_refused(settings: dict[str, float], says: str, data: Path, whole: Path) -> None:
    steps = {"steps": 20} if settings else {}
    with pytest.raises(UsageError, match=says):
        codec_session(data, whole, resume=True, **steps, **settings)


def test_resuming_with_other_pictures_or_a_damaged_state_is_refused(whole: Path, tmp_path: Path) -> None:
    other = write_pictures(tmp_path / "other.npz", seed=1)
    with pytest.raises(UsageError, match="trained on other images"):
        codec_session(other, whole, resume=True, steps=20)
    state = read_state(whole)
    (tmp_path / "codec").mkdir()
    torch.save(state | {"network": {}}, tmp_path / "codec" / STATE)
    pictures = write_pictures(tmp_path / "pictures.npz")
    with pytest.raises(DtoolError, match="its state of training cannot be used"):
        codec_session(pictures, tmp_path / "codec", resume=True, steps=20)


def test_pictures_that_do_not_fit_are_refused_with_what_does(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--factor 16: the pictures have 8x12 pixels") as caught:
        codec_session(data, tmp_path / "codec", factor=16)
    assert "multiples of 16" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_the_preview_has_pictures_above_what_is_made_of_them(data: Path, tmp_path: Path) -> None:
    session = codec_session(data, tmp_path / "codec", steps=1, preview=tmp_path / "p.png")
    for _ in session.run():
        pass
    with Image.open(tmp_path / "p.png") as image:
        scale = 64 // 8
        assert image.size == (6 * 12 * scale, 2 * 8 * scale)
        shown = np.asarray(image)[: 8 * scale : scale, ::scale].astype(int)
    held = session.held_out
    assert held is not None
    pixels = np.concatenate(list(held.pixels.transpose(0, 2, 3, 1)), axis=1)
    assert np.abs(shown - pixels).max() <= 1
    assert len(make_pictures()) == 24
