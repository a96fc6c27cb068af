"""Folders and objects of diffusers through dtool.load: what is recognised, said and refused."""

import subprocess
import sys

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from dtool.models.readers.diffusers_folder import diffusers_folder

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
from tests.support import tiny_pipelines as tiny  # noqa: E402

TRAINED = {"schedule": "linear", "prediction": "eps"}


@pytest.fixture(scope="module")
def classes():
    """A network with a class table of three rows."""
    tiny.seed()
    return tiny.unet(num_class_embeds=3)


@pytest.fixture(scope="module")
def alone(classes, tmp_path_factory):
    """The folder of that network alone."""
    folder = tmp_path_factory.mktemp("alone")
    classes.save_pretrained(folder)
    return folder


def test_recognised(alone, classes, tmp_path):
    scheduler = diffusers.DDIMScheduler()
    for source in (alone, classes, (classes, scheduler), diffusers.DDIMPipeline(classes, scheduler)):
        assert diffusers_folder.recognises(source)
    (tmp_path / "config.json").write_text('{"architectures": ["BertModel"]}')
    module = torch.nn.Linear(2, 2)
    for other in (tmp_path, alone / "config.json", module, (module, scheduler), (classes, "spec"), lambda x, t: x, 3):
        assert not diffusers_folder.recognises(other)


def test_recognising_imports_nothing_heavy(alone):
    script = (
        "import sys; from pathlib import Path; from dtool.models.readers.diffusers_folder import is_diffusers\n"
        f"assert is_diffusers(Path({str(alone)!r})); print(sorted({{'torch', 'diffusers'}} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("which", ["folder", "module", "pair", "pipeline"])
def test_the_same_network_four_ways(alone, classes, which):
    scheduler = diffusers.DDIMScheduler(clip_sample=False)
    source = {
        "folder": alone, "module": classes, "pair": (classes, scheduler),
        "pipeline": diffusers.DDIMPipeline(classes, scheduler),
    }[which]  # fmt: skip
    network = dtool.load(source, spec=TRAINED if which in ("folder", "module") else None, device="cpu")
    x = torch.randn((3, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    t, label = torch.tensor([0.0, 400.0, 999.0]), torch.tensor([0, 1, 2])
    with torch.no_grad():
        expected = classes(x, t, class_labels=label).sample
    torch.testing.assert_close(network.predict(x, t, {"label": label}), expected, rtol=0, atol=1e-6)
    assert (network.origin.recipe is None) == (which in ("folder", "module"))
    assert network.origin.reader == "diffusers"


def test_a_scheduler_beside_the_network(alone, classes, tmp_path):
    classes.save_pretrained(tmp_path)
    diffusers.DDPMScheduler(prediction_type="v_prediction").save_pretrained(tmp_path)
    network = dtool.load(tmp_path, device="cpu")
    assert (network.spec.prediction, network.spec.clip) == ("v", True)


def test_class_tables_with_and_without_a_null_row(alone):
    every = dtool.load(alone, spec=TRAINED, device="cpu").spec
    assert (every.classes, every.null_class, every.guidable) == (3, False, False)
    last = dtool.load(alone, spec=TRAINED | {"classes": 2}, device="cpu").spec
    assert (last.classes, last.null_class, last.null_label) == (2, True, 2)
    with pytest.raises(UsageError, match="the network's class table has 3 classes, not 5"):
        dtool.load(alone, spec=TRAINED | {"classes": 5}, device="cpu")


def test_guidance_by_classes(alone):
    network = dtool.load(alone, spec=TRAINED | {"classes": 2}, device="cpu")
    images = dtool.sample(network, "ddim", steps=2, n=2, labels=1, guidance=3.0).x0
    assert images.shape == (2, 3, 8, 8)
    assert np.isfinite(images).all()


def test_nobody_says_the_schedule(alone):
    with pytest.raises(UsageError, match="does not say under which schedule the network was trained") as caught:
        dtool.load(alone, device="cpu")
    assert "--schedule and --prediction" in caught.value.hint


@pytest.mark.parametrize(
    ("settings", "spec", "cause", "remedy"),
    [
        ({"sample_size": None}, {}, "does not say how large its images are", "say --shape 3,HEIGHT,WIDTH"),
        ({}, {"shape": (1, 8, 8)}, "the network has 3 channels; shape is (1, 8, 8)", "give (channels, height, width)"),
        ({}, {"schedule": "kosine"}, "kosine", "did you mean"),
    ],
)
def test_what_is_said_does_not_fit(settings, spec, cause, remedy):
    with pytest.raises(UsageError) as caught:
        dtool.load(tiny.unet(**settings), spec=TRAINED | spec, device="cpu")
    assert cause in str(caught.value)
    assert remedy in caught.value.hint


def test_what_is_said_goes_before_what_the_folder_says():
    pair = tiny.unet(sample_size=None), diffusers.DDIMScheduler(prediction_type="sample")
    said = dtool.load(pair, spec={"shape": (3, 16, 16), "clip": False, "prediction": "v"}, device="cpu").spec
    assert (said.shape, said.clip, said.prediction) == ((3, 16, 16), False, "v")


def test_other_backends(alone):
    with pytest.raises(UsageError, match="a network of diffusers runs on torch, not on onnxruntime"):
        dtool.load(alone, spec=TRAINED, backend="onnxruntime")


@pytest.mark.parametrize("missing", ["diffusers", "safetensors"])
def test_missing_packages(alone, missing, monkeypatch):
    from importlib.util import find_spec

    monkeypatch.setattr("importlib.util.find_spec", lambda name, *more: None if name == missing else find_spec(name))
    with pytest.raises(dtool.DtoolError, match=f"{missing} is needed to open") as caught:
        dtool.load(alone, spec=TRAINED, device="cpu")
    assert caught.value.hint == "pip install 'dtool-diffusion[diffusers]'"


def test_an_autoencoder_decodes_alone_or_out_of_a_pipeline(tmp_path):
    from dtool.run.load_codec import load_codec

    tiny.seed()
    autoencoder = tiny.autoencoder(scaling_factor=0.5)
    autoencoder.save_pretrained(tmp_path / "alone")
    tiny.stable_diffusion(diffusers.DDIMScheduler(), vae=autoencoder).save_pretrained(tmp_path / "pipeline")
    latents = np.random.default_rng(0).standard_normal((2, 4, 8, 8), dtype=np.float32)
    with torch.no_grad():
        expected = [autoencoder.decode(torch.from_numpy(latents / scale + shift)).sample.clamp(-1, 1).numpy()
                    for scale, shift in ((0.5, 0), (2, 0.25))]  # fmt: skip
    for name in ("alone", "pipeline"):
        codec = load_codec(tmp_path / name, (4, 8, 8))
        np.testing.assert_allclose(codec.decode(latents), expected[0], atol=1e-5)
        codec = load_codec(tmp_path / name, (4, 8, 8), scale=2.0, shift=0.25)
        np.testing.assert_allclose(codec.decode(latents), expected[1], atol=1e-5)
        assert codec.encode(expected[0]).shape == (2, 4, 8, 8)
    with pytest.raises(UsageError, match="holds an autoencoder, and no network") as caught:
        dtool.load(tmp_path / "alone", spec=TRAINED)
    assert "dtool train DATA --codec" in caught.value.hint
    tiny.unet().save_pretrained(tmp_path / "unet")
    with pytest.raises(UsageError, match="holds no autoencoder that is known here"):
        load_codec(tmp_path / "unet", (4, 8, 8))
