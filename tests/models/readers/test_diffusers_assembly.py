"""Pipelines of diffusers, from a folder and in memory, against their own loops from the same noise."""

import json

import numpy as np
import pytest

import dtool

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from diffusers import (  # noqa: E402
    CMStochasticIterativeScheduler,
    ConsistencyModelPipeline,
    DDIMPipeline,
    DDIMScheduler,
    DDPMPipeline,
    DDPMScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    LCMScheduler,
    PNDMScheduler,
)

from dtool.run.torch_backend import TorchNetwork  # noqa: E402
from tests.support import tiny_pipelines as tiny  # noqa: E402
from tests.support.pipeline_parity import draw, require_equal, run_theirs  # noqa: E402

LATENT = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
SD = LATENT | {"set_alpha_to_one": False, "steps_offset": 1}
PROMPTS = ["a cat!", "the dog"]
SIZED = {"shape": (4, tiny.SIZE, tiny.SIZE)}  # of Flux, whose config does not say

MAKERS = {
    "ddim": lambda: DDIMPipeline(tiny.unet(), DDIMScheduler(clip_sample=False)),
    "ddim-v": lambda: DDIMPipeline(tiny.unet(), DDIMScheduler(clip_sample=False, prediction_type="v_prediction")),
    "ddim-x0": lambda: DDIMPipeline(tiny.unet(), DDIMScheduler(clip_sample=False, prediction_type="sample")),
    "ddpm": lambda: DDPMPipeline(tiny.unet(), DDPMScheduler(clip_sample=False)),
    "consistency": lambda: ConsistencyModelPipeline(
        tiny.unet(num_class_embeds=3), CMStochasticIterativeScheduler(num_train_timesteps=40)
    ),
    "sd": lambda: tiny.stable_diffusion(DDIMScheduler(**SD, clip_sample=False)),
    "sd-pndm": lambda: tiny.stable_diffusion(PNDMScheduler(**SD, skip_prk_steps=True), vae=tiny.tiny_autoencoder()),
    "sd2-v": lambda: tiny.stable_diffusion(
        DDIMScheduler(**SD, clip_sample=False, prediction_type="v_prediction"), pad="!"
    ),
    "sdxl": lambda: tiny.stable_diffusion_xl(
        EulerDiscreteScheduler(**LATENT, timestep_spacing="leading", steps_offset=1)
    ),
    "dit": lambda: tiny.dit(DDIMScheduler(clip_sample=False)),
    "sd3": lambda: tiny.stable_diffusion_3(FlowMatchEulerDiscreteScheduler(shift=3.0)),
    "sd3-no-t5": lambda: tiny.stable_diffusion_3(FlowMatchEulerDiscreteScheduler(shift=3.0), with_t5=False),
    "flux": lambda: tiny.flux(FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)),
    "flux-schnell": lambda: tiny.flux(FlowMatchEulerDiscreteScheduler(), guidance_embeds=False),
    "lcm": lambda: tiny.latent_consistency(LCMScheduler(**SD)),
}
PIXELS = 2 * tiny.SIZE
GUIDED = ("sd", "sd-pndm", "sd2-v", "sdxl", "dit", "sd3", "sd3-no-t5")


@pytest.fixture(scope="module")
def pipelines():
    """Each pipeline when it is first asked for."""
    made = {}

    def get(name):
        if name not in made:
            tiny.seed(1)
            made[name] = MAKERS[name]()
            made[name].set_progress_bar_config(disable=True)
        return made[name]

    return get


@pytest.fixture(scope="module")
def networks(pipelines, tmp_path_factory):
    """Each pipeline's network, opened from the folder that it was saved in."""
    made = {}

    def get(name):
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            pipelines(name).save_pretrained(folder)
            made[name] = dtool.load(folder, spec=SIZED if name.startswith("flux") else None, device="cpu")
        return made[name]

    return get


def run_ours(network, x, scale=1.0, given=None, without=None, noise=None, steps=10, recipe=None):
    """x0 by the makers' recipe; guided by F_without + scale·(F_given - F_without)."""

    def predict(x, t):
        output = network.predict(x, t, given)
        if without is None:
            return output
        channels, other = x.shape[1], network.predict(x, t, without)
        guided = other[:, :channels] + scale * (output[:, :channels] - other[:, :channels])
        return torch.cat([guided, output[:, channels:]], dim=1)

    spec = network.spec.model_copy(update={"conditions": (), "classes": 0, "guidance": 1.0})
    bare = TorchNetwork(predict, spec)
    bare.mixes = False
    return dtool.sample(bare, recipe or network.origin.recipe, steps=steps, x=x, noise=noise).x0.numpy()


def tensors(arrays):
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}


@pytest.mark.parametrize("steps", [10, 50])
@pytest.mark.parametrize("name", ["ddim", "ddim-v", "ddim-x0"])
def test_ddim_pipeline(name, steps, pipelines, networks, request):
    pipe, network = pipelines(name), networks(name)
    theirs, pictures = run_theirs(pipe, steps, batch_size=2, generator=torch.Generator().manual_seed(3))
    ours = run_ours(network, draw(3, 2, 3, tiny.SIZE, tiny.SIZE), steps=steps)
    require_equal(ours, theirs, request)
    require_equal(ours.clip(-1, 1), pictures, request)


@pytest.mark.parametrize("steps", [10, 50])
def test_ddpm_pipeline(steps, pipelines, networks, request):
    pipe, network = pipelines("ddpm"), networks("ddpm")
    theirs, _ = run_theirs(pipe, steps, batch_size=2, generator=torch.Generator().manual_seed(3))
    generator = torch.Generator().manual_seed(3)
    shape = (2, 3, tiny.SIZE, tiny.SIZE)
    x, *noise = (torch.randn(shape, generator=generator) for _ in range(steps))
    ours = run_ours(network, x, noise=torch.stack(noise), steps=steps)
    require_equal(ours, theirs, request)


@pytest.mark.parametrize("steps", [1, 2, 10])
def test_consistency_model(steps, pipelines, networks, request):
    pipe, network = pipelines("consistency"), networks("consistency")
    x = draw(4, 2, 3, tiny.SIZE, tiny.SIZE)
    theirs, _ = run_theirs(
        pipe, steps, latents=x.clone(), batch_size=2, class_labels=[0, 2], generator=torch.Generator().manual_seed(8)
    )
    generator = torch.Generator().manual_seed(8)
    noise = torch.stack([torch.randn(x.shape, generator=generator) for _ in range(steps)])
    start = x * pipe.scheduler.init_noise_sigma
    ours = run_ours(network, start, given={"label": torch.tensor([0, 2])}, noise=noise, steps=steps)
    require_equal(ours, theirs, request)


@pytest.mark.parametrize("scale", [1.0, 5.0])
@pytest.mark.parametrize("steps", [10, 50])
@pytest.mark.parametrize("name", [name for name in GUIDED if name != "dit"])
def test_text_to_image(name, steps, scale, pipelines, networks, request):
    pipe, network = pipelines(name), networks(name)
    x = draw(4, 2, 4, tiny.SIZE, tiny.SIZE)
    theirs, pictures = run_theirs(pipe, steps, prompt=PROMPTS, latents=x.clone(), guidance_scale=scale)
    given, without = (tensors(network.text.encode(texts)) for texts in (PROMPTS, ["", ""]))
    ours = run_ours(network, x, scale, given, None if scale == 1 else without, steps=steps)
    require_equal(ours, theirs, request)
    require_equal(network.codec.decode(ours), pictures, request)


@pytest.mark.parametrize("name", ["sd", "sdxl"])
def test_negative_prompts(name, pipelines, networks, request):
    pipe, network = pipelines(name), networks(name)
    x = draw(4, 2, 4, tiny.SIZE, tiny.SIZE)
    theirs, _ = run_theirs(pipe, 10, prompt=PROMPTS, negative_prompt=["bad", "no"], latents=x.clone(), guidance_scale=5)
    given, without = (tensors(network.text.encode(texts)) for texts in (PROMPTS, ["bad", "no"]))
    require_equal(run_ours(network, x, 5, given, without), theirs, request)


@pytest.mark.parametrize("scale", [1.0, 5.0])
@pytest.mark.parametrize("steps", [10, 50])
def test_dit(steps, scale, pipelines, networks, request):
    pipe, network = pipelines("dit"), networks("dit")
    theirs, pictures = run_theirs(
        pipe, steps, class_labels=[3, 998], guidance_scale=scale, generator=torch.Generator().manual_seed(5)
    )
    assert network.spec.learned_variance
    assert network.spec.null_label == 1000
    given, without = {"label": torch.tensor([3, 998])}, {"label": torch.tensor([1000, 1000])}
    x = draw(5, 2, 4, tiny.SIZE, tiny.SIZE)
    ours = run_ours(network, x, scale, given, None if scale == 1 else without, steps=steps)
    require_equal(ours, theirs[:2], request)
    require_equal(network.codec.decode(ours), pictures, request)


def pack(x):
    from diffusers import FluxPipeline

    return FluxPipeline._pack_latents(x, *x.shape)


@pytest.mark.parametrize("scale", [1.0, 5.0])
@pytest.mark.parametrize("steps", [10, 50])
@pytest.mark.parametrize("name", ["flux", "flux-schnell"])
def test_flux(name, steps, scale, pipelines, networks, request):
    """The scale is a condition of the network; guidance with a negative prompt is diffusers' true_cfg_scale."""
    pipe, network = pipelines(name), networks(name)
    x = draw(6, 2, 4, tiny.SIZE, tiny.SIZE)
    pixels = tiny.SIZE * pipe.vae_scale_factor
    theirs, pictures = run_theirs(
        pipe, steps, prompt=PROMPTS, latents=pack(x), guidance_scale=scale, height=pixels, width=pixels
    )
    given = tensors(network.text.encode(PROMPTS))
    if name == "flux":
        assert given["guidance_scale"].tolist() == [3.5, 3.5]
        given["guidance_scale"] = torch.full((2,), scale)
    ours = run_ours(network, x, given=given, steps=steps)
    require_equal(pack(torch.from_numpy(ours)).numpy(), theirs, request)
    require_equal(network.codec.decode(ours), pictures, request)


@pytest.mark.parametrize("scale", [1.0, 5.0])
@pytest.mark.parametrize("steps", [4, 10, 50])
def test_latent_consistency(steps, scale, pipelines, networks, request):
    pipe, network = pipelines("lcm"), networks("lcm")
    x = draw(7, 2, 4, tiny.SIZE, tiny.SIZE)
    last, decode = [], pipe.vae.decode
    pipe.vae.decode = lambda z, **options: last.append(z) or decode(z, **options)
    try:
        _, pictures = run_theirs(
            pipe, steps, prompt=PROMPTS, latents=x.clone(), guidance_scale=scale,
            generator=torch.Generator().manual_seed(8),
        )  # fmt: skip
    finally:
        del pipe.vae.decode
    generator = torch.Generator().manual_seed(8)
    noise = torch.stack([torch.randn(x.shape, generator=generator) for _ in range(steps - 1)])
    given = tensors(network.text.encode(PROMPTS)) | {"guidance_scale": torch.full((2,), scale)}
    ours = run_ours(network, x, given=given, noise=noise, steps=steps)
    require_equal(ours, last[0].numpy() * pipe.vae.config.scaling_factor, request)
    require_equal(network.codec.decode(ours), pictures, request)


@pytest.mark.parametrize("name", ["sd", "sdxl", "sd3"])
def test_prompts_through_sample(name, pipelines, networks, request):
    """dtool.sample with prompts alone: recipe, steps and guidance are the makers'."""
    pipe, network = pipelines(name), networks(name)
    x = draw(4, 2, 4, tiny.SIZE, tiny.SIZE)
    theirs, _ = run_theirs(pipe, 10, prompt=PROMPTS, latents=x.clone())
    ours = dtool.sample(network, network.origin.recipe, steps=10, prompt=PROMPTS, x=x)
    require_equal(ours.x0.numpy(), theirs, request)


def test_sizes_of_pictures_go_before_the_usual_ones(pipelines, networks, request):
    pipe, network = pipelines("sdxl"), networks("sdxl")
    x = draw(4, 2, 4, tiny.SIZE, tiny.SIZE)
    ids = [20, 30, 1, 2, PIXELS, PIXELS]
    assert network.text.encode([""])["time_ids"].tolist() == [[PIXELS, PIXELS, 0, 0, PIXELS, PIXELS]]
    theirs, _ = run_theirs(
        pipe, 10, prompt=PROMPTS, latents=x.clone(), guidance_scale=5.0, original_size=(20, 30),
        crops_coords_top_left=(1, 2),
    )  # fmt: skip
    ours = dtool.sample(
        network, network.origin.recipe, steps=10, prompt=PROMPTS, x=x, guidance=5.0, conditions={"time_ids": ids}
    )
    require_equal(ours.x0.numpy(), theirs, request)


def test_the_scale_that_a_network_is_told(pipelines, networks, request):
    pipe, network = pipelines("flux"), networks("flux")
    x = draw(6, 2, 4, tiny.SIZE, tiny.SIZE)
    theirs, _ = run_theirs(
        pipe, 10, prompt=PROMPTS, negative_prompt=["bad", "no"], true_cfg_scale=2.0, latents=pack(x),
        guidance_scale=5.0, height=PIXELS, width=PIXELS,
    )  # fmt: skip
    ours = dtool.sample(
        network, network.origin.recipe, steps=10, prompt=PROMPTS, negative=["bad", "no"], guidance=2.0, x=x,
        conditions={"guidance_scale": 5.0},
    )  # fmt: skip
    require_equal(pack(ours.x0).numpy(), theirs, request)


def test_classes_through_sample(pipelines, networks, request):
    pipe, network = pipelines("dit"), networks("dit")
    x = draw(5, 2, 4, tiny.SIZE, tiny.SIZE)
    theirs, _ = run_theirs(pipe, 10, class_labels=[3, 998], generator=torch.Generator().manual_seed(5))
    ours = dtool.sample(network, network.origin.recipe, steps=10, labels=[3, 998], x=x)
    require_equal(ours.x0.numpy(), theirs[:2], request)


@pytest.mark.parametrize("name", ["sd", "dit", "lcm"])
def test_in_memory_as_from_the_folder(name, pipelines, networks):
    there, here = networks(name), dtool.load(pipelines(name), device="cpu")
    assert (here.spec, here.origin) == (there.spec, there.origin)
    assert (here.text is None) == (there.text is None)
    latents = draw(4, 1, 4, tiny.SIZE, tiny.SIZE).numpy()
    np.testing.assert_array_equal(here.codec.decode(latents), there.codec.decode(latents))


def test_origin(networks):
    origin = networks("sdxl").origin
    assert origin.what == (
        "StableDiffusionXLPipeline: UNet2DConditionModel, AutoencoderKL, CLIPTextModel, CLIPTextModelWithProjection"
    )
    assert origin.steps == 50
    assert "guidance compares with zeros" in origin.assumptions[0]
    assert networks("sd").spec.guidance == 7.5


def test_a_pipeline_without_its_text_encoder(pipelines, tmp_path):
    pipelines("sd").save_pretrained(tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_text())
    (tmp_path / "model_index.json").write_text(json.dumps(index | {"text_encoder": [None, None]}))
    network = dtool.load(tmp_path, device="cpu")
    assert network.text is None
    assert network.spec.guidance == 1
    assert network.origin.assumptions[-1] == "it has no text encoder: its conditions are to be given as arrays"


@pytest.mark.parametrize("count", [1000, 999])
def test_class_names(pipelines, tmp_path, count):
    pipelines("dit").save_pretrained(tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_text())
    index["id2label"] = {str(i): f"kind {i}, or so" for i in range(count)}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    names = dtool.load(tmp_path, device="cpu").spec.class_names
    assert names[3:4] == (("kind 3, or so",) if count == 1000 else ())
