"""dtool's samplers in diffusers' own pipelines: the pictures are those of `dtool.sample`."""

import json

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from diffusers import DDIMScheduler, DDPMPipeline, DDPMScheduler, DPMSolverMultistepScheduler  # noqa: E402

from dtool.bridges.diffusers import Scheduler  # noqa: E402
from tests.support import tiny_pipelines as make  # noqa: E402
from tests.support.pipeline_parity import draw, watch_steps  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")
RECIPES = (
    "ddim/trailing", "ddpm", "ddpm:sigma=beta/leading", "dpmpp-2m/karras", "unipc", "heun/karras", "dpmpp-2s", "plms",
    "euler-ancestral", "ddim@edm", "dpmpp-2m-sde/logsnr",
)  # fmt: skip
STEPS = 6


def like_stable_diffusion(**others):
    return DDIMScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, clip_sample=False, steps_offset=1,
        set_alpha_to_one=False, **others,
    )  # fmt: skip


def closeness(ours, theirs):
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


@pytest.fixture(scope="module")
def text_pipeline():
    pipe = make.stable_diffusion(like_stable_diffusion())
    pipe.set_progress_bar_config(disable=True)
    return pipe, dtool.load(pipe, device="cpu")


@pytest.mark.parametrize("recipe", RECIPES)
def test_words_to_pictures(recipe, text_pipeline):
    pipe, network = text_pipeline
    pipe.scheduler = Scheduler(recipe, like_stable_diffusion(), seed=7)
    latents = pipe.scheduler.draw_start((2, 4, 8, 8))
    with watch_steps(pipe) as seen:
        pipe(["a cat", "cat"], num_inference_steps=STEPS, guidance_scale=3.0, latents=latents, output_type="latent")
    ours = dtool.sample(network, recipe, steps=STEPS, prompt=["a cat", "cat"], guidance=3.0, seed=7, batch_size=2)
    assert closeness(ours.x0, seen.last) < 1e-5
    assert pipe.scheduler.step_index == len(pipe.scheduler.timesteps) == ours.plan.rows


@pytest.mark.parametrize("recipe", ["ddpm", "dpmpp-2m-sde/karras", "dpmpp-sde"])
def test_noise_of_one_path(recipe, text_pipeline):
    pipe, network = text_pipeline
    pipe.scheduler = Scheduler(recipe, like_stable_diffusion(), seed=7, noise="path")
    for _ in range(2):  # the second run's path begins anew
        latents = pipe.scheduler.draw_start((2, 4, 8, 8))
        with watch_steps(pipe) as seen:
            pipe(["a cat", "cat"], num_inference_steps=STEPS, guidance_scale=3.0, latents=latents, output_type="latent")
        ours = dtool.sample(network, recipe, steps=STEPS, prompt=["a cat", "cat"], guidance=3.0, seed=7, noise="path")
        assert closeness(ours.x0, seen.last) < 1e-5
    with pytest.raises(UsageError, match="there is no seed"):
        Scheduler(recipe, noise="path")


@pytest.mark.parametrize("recipe", ["ddpm", "ddim/trailing", "dpmpp-2m/karras", "heun", "unipc/leading"])
@pytest.mark.parametrize("clip", [True, False])
def test_unconditional_pictures(recipe, clip):
    make.seed()
    pipe = DDPMPipeline(unet=make.unet(), scheduler=DDPMScheduler(clip_sample=clip))
    pipe.set_progress_bar_config(disable=True)
    network = dtool.load(pipe, device="cpu")
    pipe.scheduler = Scheduler(recipe, pipe.scheduler, seed=3)
    with watch_steps(pipe) as seen:
        pipe(batch_size=2, num_inference_steps=STEPS, generator=torch.Generator().manual_seed(1), output_type="np")
    plan = dtool.plan(recipe, steps=STEPS, network=network)
    noise = np.stack([dtool.run.noise.normals(3, np.arange(2, dtype=np.uint64), row + 1, (3, 8, 8))[0]
                      for row in range(plan.rows)])  # fmt: skip
    ours = dtool.sample(network, plan, x=torch.from_numpy(seen.first), noise=torch.from_numpy(noise))
    assert closeness(np.asarray(ours.x0), seen.last) < 1e-5


@pytest.mark.parametrize("recipe", ["ddim", "dpmpp-2m/karras", "heun", "euler-ancestral", "unipc"])
@pytest.mark.parametrize("strength", [0.5, 0.84, 1.0])
def test_an_image_to_begin_at(recipe, strength, text_pipeline):
    from diffusers import StableDiffusionImg2ImgPipeline

    pipe, network = text_pipeline
    edit = StableDiffusionImg2ImgPipeline(**pipe.components, requires_safety_checker=False)
    edit.set_progress_bar_config(disable=True)
    edit.scheduler = Scheduler(recipe, like_stable_diffusion(), seed=5)
    latents = draw(0, 1, 4, 8, 8)
    with watch_steps(edit) as seen:
        edit("a cat", image=latents, strength=strength, num_inference_steps=STEPS, guidance_scale=2.0,
             output_type="latent", generator=torch.Generator().manual_seed(0))  # fmt: skip
    plan = dtool.plan(recipe, steps=STEPS, network=network, strength=strength)
    start = plan.alpha[0] * latents.numpy() + plan.sigma[0] * Scheduler(seed=5).draw_start((1, 4, 8, 8)).numpy()
    assert closeness(start, seen.first) < 1e-5
    noise = np.stack([dtool.run.noise.normals(5, np.zeros(1, np.uint64), row + 1, (4, 8, 8))[0]
                      for row in range(plan.rows)])  # fmt: skip
    ours = dtool.sample(network, plan, x=torch.from_numpy(start.astype(np.float32)), noise=torch.from_numpy(noise),
                        prompt=["a cat"], guidance=2.0)  # fmt: skip
    assert closeness(np.asarray(ours.x0), seen.last) < 1e-5


def test_a_mask(text_pipeline, monkeypatch):
    """Where the image is known it is kept, at its level on the way: of a deterministic sampler exactly as dtool's."""
    from diffusers import StableDiffusionInpaintPipeline
    from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

    monkeypatch.setattr(DiagonalGaussianDistribution, "sample", lambda self, _=None: self.mode())
    pipe, network = text_pipeline
    fill = StableDiffusionInpaintPipeline(**pipe.components, requires_safety_checker=False)
    fill.set_progress_bar_config(disable=True)
    fill.scheduler = Scheduler("ddim", like_stable_diffusion(), seed=2)
    picture = torch.rand((1, 3, 16, 16), generator=torch.Generator().manual_seed(0)) * 2 - 1
    mask = torch.zeros((1, 1, 16, 16))
    mask[:, :, 8:] = 1
    with watch_steps(fill):
        made = fill("a cat", image=picture, mask_image=mask, height=16, width=16, num_inference_steps=STEPS,
                    guidance_scale=2.0, output_type="latent", strength=0.84,
                    generator=torch.Generator().manual_seed(0))[0]  # fmt: skip
    ours = dtool.sample(network, "ddim", steps=STEPS, image=picture[0].numpy(), mask=mask[0].numpy(), prompt=["a cat"],
                        guidance=2.0, seed=2, strength=0.84)  # fmt: skip
    assert closeness(np.asarray(ours.x0), made.numpy()) < 1e-5


def test_noise_of_the_pipeline_s_generator_without_a_seed(text_pipeline):
    pipe, _ = text_pipeline
    pipe.scheduler = Scheduler("ddpm", like_stable_diffusion())
    made = [pipe("a cat", num_inference_steps=3, latents=draw(0, 1, 4, 8, 8), output_type="latent",
                 generator=torch.Generator().manual_seed(n))[0] for n in (0, 0, 1)]  # fmt: skip
    assert torch.equal(made[0], made[1])
    assert not torch.allclose(made[0], made[2])
    with pytest.raises(UsageError, match="has no seed"):
        pipe.scheduler.draw_start((1, 4, 8, 8))


def test_saved_and_loaded_with_the_pipeline(text_pipeline, tmp_path):
    pipe, _ = text_pipeline
    pipe.scheduler = Scheduler("dpmpp-2m/karras", like_stable_diffusion(prediction_type="v_prediction"), seed=1)
    pipe.save_pretrained(tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_text())
    assert index["scheduler"] == ["dtool.bridges.diffusers", "Scheduler"]
    loaded = type(pipe).from_pretrained(tmp_path)
    assert type(loaded.scheduler) is Scheduler
    for scheduler in (pipe.scheduler, loaded.scheduler):
        scheduler.set_timesteps(5)
    assert loaded.scheduler._run.plan == pipe.scheduler._run.plan
    assert loaded.scheduler.config.recipe == "dpmpp-2m/karras"
    alone = Scheduler.from_pretrained(tmp_path, subfolder="scheduler")
    assert dict(alone.config) == dict(loaded.scheduler.config)


def test_from_another_scheduler_s_config():
    theirs = DPMSolverMultistepScheduler(beta_schedule="scaled_linear", prediction_type="v_prediction")
    one, two = Scheduler("ddim", theirs), Scheduler.from_config(theirs.config, recipe="ddim")
    for scheduler in (one, two):
        scheduler.set_timesteps(4)
    assert one._run.plan == two._run.plan
    assert one._run.plan.prediction == "v"
    again = Scheduler("ddpm", two)
    again.set_timesteps(4)
    assert again._run.plan.prediction == "v"
    named = Scheduler("ddim", schedule="scaled-linear", prediction="v")
    named.set_timesteps(4)
    assert named._run.plan.hash == make_plan("ddim", "scaled-linear", "v").hash


def make_plan(recipe, schedule, prediction):
    network = dtool.network(lambda x, t: x, shape=(2,), schedule=schedule, prediction=prediction)
    return dtool.plan(recipe, steps=4, network=network)


def test_what_training_asks_for():
    """Noise at any level of the training schedule, and ᾱ."""
    scheduler = Scheduler("ddim", DDPMScheduler())
    y, z = draw(0, 3, 1, 4, 4), draw(1, 3, 1, 4, 4)
    times = torch.tensor([0, 500, 999])
    torch.testing.assert_close(scheduler.add_noise(y, z, times), DDPMScheduler().add_noise(y, z, times))
    torch.testing.assert_close(scheduler.alphas_cumprod, DDPMScheduler().alphas_cumprod, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(("recipe", "cause"), [
    ("ddim~3", "guides by itself"), ("ddim-inversion", "from images to noise"), ("nothing", "no sampler"),
])  # fmt: skip
def test_recipes_that_no_pipeline_can_run(recipe, cause):
    with pytest.raises(UsageError, match=cause):
        Scheduler(recipe)


def test_calls_that_cannot_be_served(text_pipeline):
    pipe, _ = text_pipeline
    scheduler = Scheduler("plms", like_stable_diffusion())
    x = draw(0, 1, 4, 8, 8)
    with pytest.raises(UsageError, match="no steps yet"):
        scheduler.step(x, 3, x)
    scheduler.set_timesteps(5)
    with pytest.raises(UsageError, match="none of this run's"):
        scheduler.step(x, 3.5, x)
    first, second = scheduler.timesteps[0], scheduler.timesteps[-1]
    scheduler.step(x, first, x)
    with pytest.raises(UsageError, match="comes next"):
        scheduler.step(x, second, x)
    with pytest.raises(UsageError, match="has no seed"):
        scheduler.draw_start((1, 2))
    pipe.scheduler = scheduler
    with pytest.raises(ValueError, match="custom sigma"):
        pipe("a cat", sigmas=[1.0, 0.5])


def test_a_pipeline_that_does_not_scale_is_refused():
    """DDPM's asks neither for the start's size nor for scaled inputs."""
    make.seed()
    pipe = DDPMPipeline(unet=make.unet(), scheduler=DDPMScheduler())
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = Scheduler("ddim@edm", pipe.scheduler)
    with pytest.raises(UsageError, match="does not ask for it"):
        pipe(num_inference_steps=3, output_type="np")
