"""A network of latents from one folder to one file: it samples pictures, on the host and in ONNX, and edits them."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")
diffusers = pytest.importorskip("diffusers")
import dtool  # noqa: E402
from dtool.data.images import Images  # noqa: E402
from dtool.errors import DtoolError, UsageError  # noqa: E402
from dtool.models import checkpoint  # noqa: E402
from dtool.models.diffusers_codec import DiffusersCodec  # noqa: E402
from dtool.training.config import TrainConfig  # noqa: E402
from dtool.training.latents import open_training_codec  # noqa: E402
from dtool.training.period import Period  # noqa: E402
from dtool.training.session import Session, start  # noqa: E402
from tests.support import tiny_pipelines as tiny  # noqa: E402
from tests.support.codec_training import LATENT, SHAPE, make_pictures, train_codec, write_pictures  # noqa: E402
from tests.support.training import assert_same_content  # noqa: E402

UNET = {"width": 8, "multipliers": (1,), "attention": ()}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("data") / "pictures.npz", classes=2)


@pytest.fixture(scope="module")
def codec(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_codec(data, tmp_path_factory.mktemp("codec") / "codec")


def session(data: Path, output: Path, codec: Path | None, **settings: object) -> Session:
    """A short run that uses all that is random."""
    resume = bool(settings.pop("resume", False))
    config = TrainConfig(**{"steps": 6, "batch_size": 5, "flip": True, "validation": 0.25, **settings})
    save = Period(steps=2)
    return start(str(data), output, config, network=UNET, device="cpu", codec=codec, resume=resume, save_every=save)


@pytest.fixture(scope="module", params=[".pt", ".safetensors"])
def model(request: pytest.FixtureRequest, data: Path, codec: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / f"m{request.param}"
    for _ in session(data, path, codec).run():
        pass
    return path


def test_the_network_is_trained_on_the_posterior_s_mean_of_pictures_and_mirrored_ones(
    data: Path, codec: Path, tmp_path: Path
) -> None:
    images = session(data, tmp_path / "m.pt", codec).trainer.images
    opened = diffusers.AutoencoderKL.from_pretrained(codec).eval()
    pictures = images.pictures.take()
    for flipped, latents in ((pictures, images.take()), (pictures[..., ::-1].copy(), images.take_mirrored())):
        with torch.no_grad():
            expected = opened.encode(torch.from_numpy(flipped)).latent_dist.mean.numpy()
        np.testing.assert_allclose(latents, expected, atol=1e-5)


def test_a_sample_is_what_the_codec_decodes_of_a_sampled_latent(model: Path, codec: Path) -> None:
    net = dtool.load(model, device="cpu")
    assert (net.shape, net.picture_shape, net.spec.clip) == (LATENT, SHAPE, False)
    drawn = dtool.sample(net, "ddim", steps=4, n=3, seed=1, labels=[0, 1, 0])
    assert drawn.x0.shape == (3, *LATENT)
    opened = diffusers.AutoencoderKL.from_pretrained(codec).eval()
    with torch.no_grad():
        expected = opened.decode(torch.from_numpy(drawn.x0)).sample.clamp(-1, 1).numpy()
    np.testing.assert_allclose(net.to_pictures(drawn.x0), expected, atol=1e-6)


def test_the_file_draws_the_host_s_pictures_without_a_decoder_beside_it(model: Path, tmp_path: Path) -> None:
    """Compared here, for the export's own comparisons take long."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    if model.suffix != ".pt":
        pytest.skip("of one kind of file: the network is the same")
    dtool.export(model, tmp_path / "one.onnx", plan="ddim", steps=4, check=False)
    file = onnxruntime.InferenceSession(tmp_path / "one.onnx")
    shapes = {output.name: output.shape[1:] for output in file.get_outputs()}
    assert (shapes["images"], shapes["latents"]) == (list(SHAPE), list(LATENT))
    net = dtool.load(model, device="cpu")
    host = net.to_pictures(dtool.sample(net, "ddim", steps=4, n=2, seed=5).x0)
    drawn = dtool.sample(dtool.load(tmp_path / "one.onnx", device="cpu"), n=2, seed=5)
    np.testing.assert_allclose(drawn.x0, host, atol=1e-5)


def test_editing_begins_at_the_encoded_picture(model: Path, codec: Path) -> None:
    net = dtool.load(model, device="cpu")
    image = make_pictures().take(slice(0, 2))
    run = dtool.sample(net, "ddim", steps=10, image=image, strength=0.5, seed=2, trace=True)
    z = dtool.sample(net, "ddim", steps=1, n=2, seed=2, trace=True).trace.x[0]
    latents = DiffusersCodec(diffusers.AutoencoderKL.from_pretrained(codec), LATENT).encode(image)
    expected = run.plan.alpha[0] * latents + run.plan.sigma[0] * z
    np.testing.assert_allclose(run.trace.x[0], expected, atol=1e-4)
    mask = np.zeros((1, *SHAPE[1:]), np.float32)
    mask[:, :4] = 1
    kept = dtool.sample(net, "ddim", steps=5, image=image, mask=mask, seed=2).x0
    np.testing.assert_allclose(kept[:, :, 2:], latents[:, :, 2:], atol=1e-5)
    assert np.abs(kept[:, :, :2] - latents[:, :, :2]).max() > 0.1


def test_stopped_and_resumed_is_bit_for_bit_uninterrupted(data: Path, codec: Path, tmp_path: Path) -> None:
    whole, stopped = tmp_path / "whole.pt", tmp_path / "stopped.pt"
    for _ in session(data, whole, codec).run():
        pass
    for progress in session(data, stopped, codec).run():
        if progress.step == 3:  # after the save of step 2
            break
    assert (checkpoint.read(stopped).training or {})["step"] == 2
    for _ in session(data, stopped, codec, resume=True).run():
        pass
    assert_same_content(torch.load(whole, weights_only=True), torch.load(stopped, weights_only=True))


def test_going_on_with_another_codec_or_none_is_refused(data: Path, codec: Path, tmp_path: Path) -> None:
    output, plain = tmp_path / "m.pt", tmp_path / "plain.pt"
    for path, own in ((output, codec), (plain, None)):
        for _ in session(data, path, own, steps=1).run():
            pass
    other = train_codec(data, tmp_path / "other", seed=4)
    for path, own, says in (
        (output, other, "was trained on another codec's latents"),
        (output, None, "was trained on latents"),
        (plain, codec, "was trained on pictures, not on latents"),
    ):
        with pytest.raises(UsageError, match=says):
            session(data, path, own, resume=True, steps=2)


def test_a_codec_that_does_not_fit_is_refused_with_what_would(data: Path, codec: Path, tmp_path: Path) -> None:
    opened = open_training_codec(codec, SHAPE)
    assert opened.autoencoder.choose_latent_shape(SHAPE, "") == LATENT
    with pytest.raises(UsageError, match="makes one latent of 2x2 pixels, and the pictures have 9x8"):
        open_training_codec(codec, (3, 9, 8))
    with pytest.raises(UsageError, match="encodes pictures in colour, and these are grey"):
        open_training_codec(codec, (1, 8, 8))
    with pytest.raises(DtoolError, match="there is no folder"):
        open_training_codec(tmp_path / "none", SHAPE)
    with pytest.raises(UsageError, match="no folder of an autoencoder"):
        open_training_codec(data, SHAPE)
    tiny.unet().save_pretrained(tmp_path / "unet")
    with pytest.raises(UsageError, match="holds no autoencoder that is known here"):
        open_training_codec(tmp_path / "unet", SHAPE)


@pytest.mark.parametrize(("scale", "warns"), [(1.0, False), (1e-3, True)])
def test_latents_far_from_unit_deviation_are_warned_of(
    scale: float, warns: bool, codec: Path, recwarn: pytest.WarningsRecorder
) -> None:
    opened = open_training_codec(codec, SHAPE)
    opened.codec.scale = opened.codec.scale * scale
    opened.encode(Images(make_pictures().pixels), mirrored=False)
    assert any("the latents have a deviation of" in str(one.message) for one in recwarn) == warns
