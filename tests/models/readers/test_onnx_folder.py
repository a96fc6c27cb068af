"""Folders of ONNX files: diffusers' own pipeline and dtool give the same from the same noise; what is refused."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError, UsageError
from dtool.models.readers.onnx_folder import is_onnx_folder

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("tokenizers")
from tests.support.parity_record import record_parity
from tests.support.small_onnx_folder import DECODER, ENCODER, LENGTH, TABLE, VOCABULARY, write_small_folder


@pytest.fixture
def folder(tmp_path):
    return write_small_folder(tmp_path / "small")


def load(folder, **more):
    return dtool.load(folder, device="cpu", **more)


def test_what_the_folder_says(folder):
    net = load(folder)
    assert net.backend == "onnxruntime"
    assert net.spec.shape == (2, 4, 4)
    assert [one.describe() for one in net.spec.conditions] == ["encoder_hidden_states float32 (6, 3)"]
    assert (net.spec.prediction, net.spec.clip, net.spec.guidance) == ("eps", False, 7.5)
    assert net.origin.reader == "onnx-folder"
    assert net.origin.what.endswith("(OnnxStableDiffusionPipeline): unet, vae_decoder, vae_encoder, text_encoder")
    assert net.origin.recipe == "ddim/leading:offset=1,compat=diffusers,end=alpha_bar_0"
    assert net.origin.steps == 50


def test_text_and_guidance(folder):
    net = load(folder)
    start, end, a, c, t = (VOCABULARY.index(word) for word in ("<|startoftext|>", "<|endoftext|>", "a", "c", "t</w>"))
    rows = {"cat": [start, c, a, t, end, end], "": [start, *[end] * (LENGTH - 1)]}
    got = net.text.encode(["cat", "", "cat"])
    np.testing.assert_array_equal(
        got["encoder_hidden_states"], np.stack([TABLE[rows[text]] for text in ("cat", "", "cat")])
    )

    def predict(x, t, encoder_hidden_states):
        out = 0.5 * x + encoder_hidden_states.mean((1, 2))[:, None, None, None] + 1e-3 * t[:, None, None, None]
        return out.astype(np.float32)

    twin = dtool.network(predict, shape=(2, 4, 4), conditions=net.spec.conditions)
    given, without = ({"encoder_hidden_states": TABLE[rows[text]]} for text in ("cat", ""))
    for guidance in (1, 5):
        more = {"without": without} if guidance > 1 else {}
        want = dtool.sample(twin, "ddim", n=3, steps=5, conditions=given, guidance=guidance, **more).x0
        made = dtool.sample(net, "ddim", n=3, steps=5, prompt="cat", guidance=guidance).x0
        np.testing.assert_allclose(made, want, rtol=1e-4, atol=1e-5)


def test_the_autoencoder(folder):
    codec, random = load(folder).codec, np.random.default_rng(0)
    latents = random.standard_normal((3, 2, 4, 4)).astype(np.float32) / 4
    small = np.einsum("oc,bchw->bohw", DECODER[:, :, 0, 0], latents / 0.5 + 0.25)
    picture = small.repeat(2, axis=2).repeat(2, axis=3).clip(-1, 1)
    assert codec.picture_shape == (3, 8, 8)
    np.testing.assert_allclose(codec.decode(latents), picture, atol=1e-5)
    blocks = picture.reshape(3, 3, 4, 2, 4, 2)
    parameters = np.einsum("ocij,bchiwj->bohw", ENCODER, blocks)
    mean, deviation = (parameters[:, :2] - 0.25) * 0.5, np.exp(0.5 * parameters[:, 2:]) * 0.5
    np.testing.assert_allclose(codec.encode(picture), mean, atol=1e-5)
    np.testing.assert_allclose(codec.encode(picture, latents), mean + deviation * latents, atol=1e-5)


def test_no_pytorch_is_imported(folder):
    script = (
        f"import dtool, sys; net = dtool.load({str(folder)!r}, device='cpu')\n"
        "net.codec.decode(dtool.sample(net, net.origin.recipe, n=2, steps=3, prompt='a cat').x0)\n"
        "print(*{'torch', 'diffusers', 'transformers'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_only_the_network(folder):
    for part in ("vae_decoder", "vae_encoder", "text_encoder", "scheduler", "model_index.json"):
        path = folder / part
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(DtoolError, match="does not say what network it is"):
        load(folder)
    net = load(folder, spec={"schedule": "linear", "prediction": "eps"})
    assert (net.codec, net.text, net.spec.guidance) == (None, None, 1.0)
    assert net.origin.assumptions == ("it has no text encoder: its conditions are to be given as arrays",)
    text = TABLE[[0] * LENGTH]
    images = dtool.sample(net, "ddim", n=2, steps=2, conditions={"encoder_hidden_states": text}).x0
    assert images.shape == (2, 2, 4, 4)


def test_the_users_word_goes_first(folder):
    net = load(folder, spec={"prediction": "v", "clip": True, "guidance": 2.0})
    assert (net.spec.prediction, net.spec.clip, net.spec.guidance) == ("v", True, 2.0)
    with pytest.raises(UsageError, match="runs on onnxruntime, not on torch"):
        load(folder, backend="torch")


def test_a_scale_that_nobody_says(folder):
    (folder / "vae_decoder" / "config.json").unlink()
    net = load(folder)
    assert net.codec.scale == np.float32(0.18215)
    assert "no config says how its latents are scaled: by 0.18215, as in Stable Diffusion 1" in net.origin.assumptions


def change_json(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def remove(*parts):
    def act(folder):
        path = folder.joinpath(*parts)
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return act


def link(folder):
    model = folder / "text_encoder" / "model.onnx"
    model.rename(folder.parent / "elsewhere.onnx")
    model.symlink_to(folder.parent / "elsewhere.onnx")


def exchange(folder):
    shutil.copy(folder / "text_encoder" / "model.onnx", folder / "vae_decoder" / "model.onnx")


@pytest.mark.parametrize(
    ("act", "cause"),
    [
        (remove("vae_decoder"), "names vae_decoder, and there is no folder"),
        (remove("text_encoder", "model.onnx"), "holds no model.onnx"),
        (remove("tokenizer", "merges.txt"), "holds neither tokenizer.json nor vocab.json with merges.txt"),
        (remove("tokenizer"), "tokenizer_config.json"),
        (link, "is a link that leads out of"),
        (lambda f: (f / "unet" / "model.onnx").write_bytes(b"\x08"), "is not an ONNX file"),
        (lambda f: (f / "scheduler" / "scheduler_config.json").write_text("{"), "the file is damaged"),
        (lambda f: (f / "model_index.json").write_text("[]"), "not an object"),
        (lambda f: change_json(f / "vae_decoder" / "config.json", scaling_factor=0), "scaling_factor is 0"),
        (lambda f: change_json(f / "vae_decoder" / "config.json", scaling_factor="x"), "scaling_factor is 'x'"),
        (exchange, "ONNX Runtime cannot run the network"),
    ],
)
def test_half_a_folder_is_refused(act, cause, folder):
    act(folder)
    with pytest.raises(DtoolError) as caught:
        load(folder)
    assert cause in str(caught.value)
    assert caught.value.hint
    assert "\n" not in str(caught.value) + caught.value.hint


def test_an_encoder_without_a_decoder(folder):
    (folder / "model_index.json").unlink()
    remove("vae_decoder")(folder)
    with pytest.raises(DtoolError, match="has a vae_encoder and no vae_decoder"):
        load(folder)


def test_what_is_no_folder_of_onnx_files(tmp_path, folder):
    assert is_onnx_folder(folder)
    assert not is_onnx_folder(tmp_path)
    assert not is_onnx_folder(folder / "unet" / "model.onnx")
    assert not is_onnx_folder("small")


@pytest.mark.parametrize("steps", [10, 50])
@pytest.mark.parametrize("guidance", [1, 5])
def test_diffusers_own_pipeline_gives_the_same(steps, guidance, pipelines):
    torch, pipeline, net = pipelines
    x = np.random.default_rng(0).standard_normal((2, 4, 8, 8)).astype(np.float32)
    want = pipeline(
        ["a cat", "dog"],
        latents=torch.from_numpy(x),
        num_inference_steps=steps,
        guidance_scale=guidance,
        output_type="latent",
    ).images.numpy()
    made = dtool.sample(net, net.origin.recipe, steps=steps, prompt=["a cat", "dog"], guidance=guidance, x=x).x0
    record_parity(np.abs(made - want).max(), np.abs(want).max())
    assert np.abs(made - want).max() <= 1e-4 * np.abs(want).max()
    with torch.no_grad():
        picture = pipeline.vae.decode(torch.from_numpy(want) / pipeline.vae.config.scaling_factor).sample
    np.testing.assert_allclose(net.codec.decode(want), picture.clamp(-1, 1).numpy(), atol=1e-4)


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory):
    """(torch, a tiny pipeline of diffusers, the same from ONNX files)."""
    torch = pytest.importorskip("torch")
    diffusers, _ = pytest.importorskip("diffusers"), pytest.importorskip("transformers")
    from tests.support import tiny_pipelines
    from tests.support.onnx_folders import write_onnx_folder

    scheduler = diffusers.DDIMScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, clip_sample=False, set_alpha_to_one=False,
        steps_offset=1,
    )  # fmt: skip
    pipeline = tiny_pipelines.stable_diffusion(scheduler)
    pipeline.set_progress_bar_config(disable=True)
    return torch, pipeline, load(write_onnx_folder(pipeline, tmp_path_factory.mktemp("onnx")))


@pytest.fixture(scope="module")
def pipelines_xl(tmp_path_factory):
    """(torch, a tiny pipeline of Stable Diffusion XL, the same from ONNX files)."""
    torch = pytest.importorskip("torch")
    diffusers, _ = pytest.importorskip("diffusers"), pytest.importorskip("transformers")
    from tests.support import tiny_pipelines
    from tests.support.onnx_folders import write_onnx_folder_xl

    scheduler = diffusers.DDIMScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, clip_sample=False, set_alpha_to_one=False,
        steps_offset=1,
    )  # fmt: skip
    pipeline = tiny_pipelines.stable_diffusion_xl(scheduler)
    pipeline.set_progress_bar_config(disable=True)
    return torch, pipeline, load(write_onnx_folder_xl(pipeline, tmp_path_factory.mktemp("onnx-xl")))


@pytest.mark.parametrize(("negative", "sizes"), [(None, None), ("bad", (20, 30))], ids=["XL", "XL, negative"])
def test_xl_gives_what_diffusers_pipeline_gives(negative, sizes, pipelines_xl):
    torch, pipeline, net = pipelines_xl
    assert [one.describe() for one in net.spec.conditions] == [
        "encoder_hidden_states float32 (16, 64)", "text_embeds float32 (24)", "time_ids float32 (6)",
    ]  # fmt: skip
    assert (net.spec.guidance, net.origin.steps, net.codec.scale) == (5.0, 50, np.float32(0.13025))
    x = np.random.default_rng(0).standard_normal((2, 4, 8, 8)).astype(np.float32)
    more = {} if sizes is None else {"original_size": sizes, "crops_coords_top_left": (1, 2)}
    want = pipeline(
        ["a cat", "dog"], negative_prompt=None if negative is None else [negative] * 2, latents=torch.from_numpy(x),
        num_inference_steps=10, output_type="latent", **more,
    ).images.numpy()  # fmt: skip
    told = {} if sizes is None else {"conditions": {"time_ids": [*sizes, 1, 2, 16, 16]}}
    made = dtool.sample(net, net.origin.recipe, steps=10, prompt=["a cat", "dog"], negative=negative, x=x, **told).x0
    record_parity(np.abs(made - want).max(), np.abs(want).max())
    assert np.abs(made - want).max() <= 1e-4 * np.abs(want).max()
