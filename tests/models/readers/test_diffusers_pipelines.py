"""Pipelines whose network's input holds another image, and the refiner, against their own loops from the same start."""

import json

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError, UsageError

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from diffusers import DDIMScheduler, DDPMScheduler, EulerDiscreteScheduler  # noqa: E402
from PIL import Image  # noqa: E402

from tests.support import tiny_pipelines as tiny  # noqa: E402
from tests.support.commandline import ran  # noqa: E402
from tests.support.pipeline_parity import draw, require_equal, run_theirs, watch_steps  # noqa: E402

LATENT = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "steps_offset": 1}
SD = LATENT | {"set_alpha_to_one": False, "clip_sample": False}
PROMPTS = ["a cat!", "the dog"]
PIXELS = 2 * tiny.SIZE
MAKERS = {
    "inpainting": lambda: tiny.inpainting(DDIMScheduler(**SD)),
    "editing": lambda: tiny.editing(EulerDiscreteScheduler(**LATENT)),
    "depth": lambda: tiny.by_depth(DDIMScheduler(**SD)),
    "enlarging": lambda: tiny.enlarging(DDIMScheduler(**SD), DDPMScheduler()),
    "refiner": lambda: tiny.refiner(DDIMScheduler(**SD)),
}


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """(pipeline, the network of its folder, the folder), each when it is first asked for."""
    made = {}

    def get(name):
        if name not in made:
            pipe, folder = MAKERS[name](), tmp_path_factory.mktemp(name)
            pipe.set_progress_bar_config(disable=True)
            pipe.save_pretrained(folder)
            made[name] = pipe, dtool.load(folder, device="cpu"), folder
        return made[name]

    return get


def make_picture(seed=5, channels=3, size=PIXELS):
    return draw(seed, 1, channels, size, size).clip(-1, 1)


def make_mask():
    mask = torch.zeros(1, 1, PIXELS, PIXELS)
    mask[..., 3:12, 5:] = 1
    return mask


def sample(net, x, **told):
    return dtool.sample(net, net.origin.recipe, steps=10, prompt=PROMPTS, x=torch.as_tensor(x), **told).x0.numpy()


@pytest.fixture
def no_chance(monkeypatch):
    """The autoencoder's distribution gives its mean, as dtool takes it."""
    from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

    monkeypatch.setattr(DiagonalGaussianDistribution, "sample", lambda self, generator=None: self.mode())


@pytest.mark.usefixtures("no_chance")
@pytest.mark.parametrize("scale", [1.0, 5.0])
def test_inpainting(scale, opened, request):
    pipe, net, _ = opened("inpainting")
    x, picture, mask = draw(4, 2, 4, tiny.SIZE, tiny.SIZE), make_picture(), make_mask()
    assert [one.describe() for one in net.spec.conditions[1:]] == ["mask float32 (1, 8, 8)", "masked float32 (4, 8, 8)"]
    assert net.spec.shape == (4, 8, 8)
    theirs, pictures = run_theirs(
        pipe, 10, prompt=PROMPTS, image=picture, mask_image=mask, latents=x.clone(), guidance_scale=scale
    )
    told = {"mask": mask[0].numpy(), "masked": picture[0].numpy()}
    ours = sample(net, x, guidance=scale, conditions=told)
    require_equal(ours, theirs, request)
    require_equal(net.codec.decode(ours), pictures, request)
    small = {"mask": mask[0, :, ::2, ::2].numpy()}
    small["masked"] = net.codec.encode((picture * (mask < 0.5)).numpy())[0]
    np.testing.assert_array_equal(sample(net, x, guidance=scale, conditions=small), ours)


@pytest.mark.usefixtures("no_chance")
def test_inpainting_by_an_image_and_a_mask(opened, request, tmp_path, capsys):
    """The network is told what an edit says as the pipeline does it: the latents' mask, and the picture cut out.

    On the command line the pictures have the pixels of what is known, which the pipeline's have not.
    """
    from dtool.run.noise import normals

    pipe, net, folder = opened("inpainting")
    picture, mask, ids = make_picture(), make_mask(), np.arange(2, dtype=np.uint64)
    x = torch.from_numpy(normals(3, ids, 0, net.shape)[0])
    told = {"prompt": PROMPTS, "image": picture, "mask_image": mask, "guidance_scale": 5.0}
    theirs, pictures = run_theirs(pipe, 10, latents=x, **told)
    edit = {"image": picture[0].numpy(), "mask": mask[0].numpy()}
    out = dtool.sample(net, net.origin.recipe, steps=10, prompt=PROMPTS, guidance=5.0, seed=3, **edit)
    require_equal(np.asarray(out.x0), theirs, request)
    require_equal(net.codec.decode(np.asarray(out.x0)), pictures, request)
    eight_bits = ((picture[0].numpy().transpose(1, 2, 0) + 1) * 127.5).round().astype(np.uint8)
    Image.fromarray(eight_bits).save(tmp_path / "photo.png")
    Image.fromarray((mask[0, 0].numpy() * 255).astype(np.uint8)).save(tmp_path / "mask.png")
    given = ("--image", tmp_path / "photo.png", "--mask", tmp_path / "mask.png", "--npz", tmp_path / "x.npz")
    words = ("--prompt", PROMPTS[0], "--steps", "10", "--guidance", "5", "--seed", "3", "-n", "1", "-q")
    done = ran(capsys, "sample", folder, *words, *given)
    assert done.code == 0, done.err
    shown, kept = np.load(tmp_path / "x.npz")["x0"][0], mask[0, 0].numpy() == 0
    assert np.array_equal(shown[:, kept], (eight_bits.transpose(2, 0, 1) / np.float32(255) * 2 - 1)[:, kept])
    assert np.abs(shown - pictures[0])[:, ~kept].max() < 0.05  # the picture was rounded to eight bits


@pytest.mark.parametrize(("image_scale", "scale"), [(1.0, 5.0), (5.0, 5.0)])
def test_editing(image_scale, scale, opened, request):
    """Guidance keeps the picture, as image_guidance_scale 1 does; compared with none it is both scales at once."""
    pipe, net, _ = opened("editing")
    picture = make_picture()
    with watch_steps(pipe) as seen:
        pipe(
            PROMPTS, image=picture.repeat(2, 1, 1, 1), num_inference_steps=10, guidance_scale=scale,
            image_guidance_scale=image_scale, generator=torch.Generator().manual_seed(3), output_type="latent",
        )  # fmt: skip
    first, last = (float(pipe.scheduler.sigmas[k]) for k in (0, -1))
    x = seen.first / np.hypot(1, first)
    without = {} if image_scale == 1 else {"without": {"image": np.zeros((4, 8, 8), np.float32)}}
    ours = sample(net, x, guidance=scale, conditions={"image": picture[0].numpy()}, **without)
    require_equal(ours, seen.last / np.hypot(1, last), request)


def test_by_depth(opened, request):
    pipe, net, _ = opened("depth")
    depth = draw(6, 1, PIXELS, PIXELS)
    with watch_steps(pipe) as seen:
        pipe(
            PROMPTS, image=make_picture().repeat(2, 1, 1, 1), depth_map=depth, strength=1.0, num_inference_steps=10,
            output_type="latent", generator=torch.Generator().manual_seed(3),
        )  # fmt: skip
    small = torch.nn.functional.interpolate(depth[None], size=(8, 8), mode="bicubic", align_corners=False)[0]
    small = 2 * (small - small.amin()) / (small.amax() - small.amin()) - 1
    require_equal(sample(net, seen.first, conditions={"depth": small.numpy()}), seen.last, request)
    assert "begins at a picture" in net.origin.differences[0]


def test_enlarging(opened, request):
    pipe, net, _ = opened("enlarging")
    low, x = make_picture(size=tiny.SIZE), draw(4, 2, 4, tiny.SIZE, tiny.SIZE)
    theirs, _ = run_theirs(
        pipe, 10, prompt=PROMPTS, image=low.repeat(2, 1, 1, 1), latents=x.clone(), noise_level=7,
        generator=torch.Generator().manual_seed(3),
    )  # fmt: skip
    noise = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(3))
    noised = pipe.low_res_scheduler.add_noise(low.repeat(2, 1, 1, 1), noise, torch.tensor([7])).numpy()
    assert (net.spec.classes, net.spec.guidance) == (100, 9.0)
    require_equal(sample(net, x, labels=7, conditions={"image": noised}), theirs, request)


@pytest.mark.usefixtures("no_chance")
@pytest.mark.parametrize("sizes", [{}, {"original_size": (20, 30), "crops_coords_top_left": (1, 2)}])
def test_refiner(sizes, opened, request):
    pipe, net, _ = opened("refiner")
    with watch_steps(pipe) as seen:
        pipe(
            PROMPTS, image=make_picture(), strength=1.0, num_inference_steps=10, guidance_scale=5.0,
            generator=torch.Generator().manual_seed(3), output_type="latent", aesthetic_score=7.0, **sizes,
        )  # fmt: skip
    ids = [20, 30, 1, 2, 7] if sizes else [PIXELS, PIXELS, 0, 0, 7]
    ours = sample(net, seen.first, guidance=5.0, conditions={"time_ids": ids})
    require_equal(ours, seen.last, request)
    assert net.text.encode([""])["time_ids"].tolist() == [[PIXELS, PIXELS, 0, 0, 6]]
    far = sample(net, seen.first, guidance=5.0, conditions={"time_ids": ids}, without={"time_ids": ids})
    assert np.abs(far - seen.last).max() > 1e-3 * np.abs(seen.last).max()


def test_a_refiners_text_encoder_is_no_file(opened):
    with pytest.raises(UsageError, match="guidance compares with another score"):
        opened("refiner")[1].text.to_module()


def test_a_setting_that_is_no_flag(opened, tmp_path):
    import shutil

    folder = shutil.copytree(opened("refiner")[2], tmp_path / "copy")
    index = folder / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"requires_aesthetics_score": "yes"}))
    with pytest.raises(DtoolError, match="requires_aesthetics_score is 'yes'"):
        dtool.load(folder, device="cpu")


@pytest.mark.usefixtures("no_chance")
def test_pictures_on_the_command_line(opened, tmp_path, capsys):
    """A mask and a picture from files, as they are: what the network takes is made of them."""
    _, net, folder = opened("inpainting")
    colours = np.random.default_rng(0).integers(0, 256, (PIXELS, PIXELS, 3), dtype=np.uint8)
    white = np.where(make_mask()[0, 0].numpy() > 0, 255, 0).astype(np.uint8)
    Image.fromarray(colours).save(tmp_path / "photo.png")
    Image.fromarray(white).save(tmp_path / "mask.png")
    words = ["--condition", f"mask={tmp_path / 'mask.png'}", "--condition", f"masked={tmp_path / 'photo.png'}"]
    done = ran(
        capsys, "sample", str(folder), "--prompt", "a cat", *words, "-n", "2", "--steps", "3", "--npz",
        str(tmp_path / "x.npz"), "--latents", "-o", str(tmp_path / "x.png"), "-q",
    )  # fmt: skip
    assert done.code == 0, done.err
    theirs = np.load(tmp_path / "x.npz")["latents"]
    picture = colours.transpose(2, 0, 1).astype(np.float32) / 127.5 - 1
    told = {"mask": (white[None] > 0).astype(np.float32), "masked": picture}
    ours = dtool.sample(net, net.origin.recipe, steps=3, n=2, prompt="a cat", conditions=told).x0
    np.testing.assert_allclose(theirs, ours.numpy() if hasattr(ours, "numpy") else ours, atol=1e-5)
    shown = ran(capsys, "model", folder).out
    assert "or a picture, 3×16×16" in " ".join(shown.split())


def test_a_comparison_tells_the_same_pictures(opened):
    """A run in parts by ids is told what one run is told: pictures are encoded before they are handed out in turn."""
    from dtool.run.guided_conditions import Request
    from dtool.run.repeated_conditions import repeat_conditions

    _, net, _ = opened("inpainting")
    told = {"mask": make_mask()[0].numpy(), "masked": np.concatenate([make_picture(), make_picture(6)])}
    repeated = repeat_conditions(net, Request(conditions=told, prompt=PROMPTS)).take([1, 2])["conditions"]
    once = net.pictures.prepare(told)
    np.testing.assert_array_equal(repeated["masked"], once["masked"][[1, 0]])
    np.testing.assert_array_equal(repeated["mask"], once["mask"][None].repeat(2, axis=0))
