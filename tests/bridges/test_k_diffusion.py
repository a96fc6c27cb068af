"""dtool's samplers in k-diffusion's call form: beside k-diffusion's own, and beside `dtool.sample`."""

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError

torch = pytest.importorskip("torch")

from dtool.bridges.k_diffusion import make_points, make_sampler  # noqa: E402


def denoise(x, sigma, gain=0.7):
    """A network that is nonlinear in x and in σ."""
    level = sigma.reshape(-1, *[1] * (x.ndim - 1))
    return gain * torch.tanh(x / (1 + level)) + 0.1 * torch.sin(x)


def karras(n, zero=True):
    ramp = np.linspace(14.6 ** (1 / 7), 0.03 ** (1 / 7), n) ** 7
    return torch.tensor([*ramp, 0.0] if zero else ramp, dtype=torch.float64)


def start(shape=(3, 2, 4)):
    return 14.6 * torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


PAIRS = {
    "euler": "sample_euler", "heun": "sample_heun", "dpm2": "sample_dpm_2", "dpmpp-2m": "sample_dpmpp_2m",
    "lms": "sample_lms",
}  # fmt: skip
STOCHASTIC = {
    "euler-ancestral": "sample_euler_ancestral", "dpm2-ancestral": "sample_dpm_2_ancestral",
    "dpmpp-2s-ancestral": "sample_dpmpp_2s_ancestral", "dpmpp-2m-sde": "sample_dpmpp_2m_sde",
    "dpmpp-3m-sde:variant=published": "sample_dpmpp_3m_sde",
}  # fmt: skip


@pytest.mark.parametrize("zero", [True, False])
@pytest.mark.parametrize("recipe", PAIRS)
def test_as_k_diffusion_s_own(recipe, zero):
    from tests.parity.k_diffusion_side import sampling

    theirs = getattr(sampling(), PAIRS[recipe])(denoise, start(), karras(8, zero), {"gain": 0.5}, disable=True)
    ours = make_sampler(recipe)(denoise, start(), karras(8, zero), {"gain": 0.5}, disable=True)
    assert (ours - theirs).abs().max() < (1e-3 if recipe == "lms" else 1e-9) * theirs.abs().max()  # theirs integrates


@pytest.mark.parametrize("recipe", STOCHASTIC)
def test_with_the_caller_s_noise(recipe):
    from tests.parity.k_diffusion_side import sampling

    def noise_from(seed):
        random = torch.Generator().manual_seed(seed)
        asked = []

        def draw(sigma, sigma_next):
            asked.append((float(sigma), float(sigma_next)))
            return torch.randn((3, 2, 4), generator=random, dtype=torch.float64)

        return draw, asked

    (own, mine), (other, theirs) = noise_from(1), noise_from(1)
    ours = make_sampler(recipe)(denoise, start(), karras(8), noise_sampler=own)
    made = getattr(sampling(), STOCHASTIC[recipe])(denoise, start(), karras(8), disable=True, noise_sampler=other)
    assert [now for now, _ in mine] == [now for now, _ in theirs]
    assert (ours - made).abs().max() < 1e-9 * made.abs().max()


@pytest.mark.parametrize("flow", [False, True])
@pytest.mark.parametrize("recipe", ["ddpm", "dpmpp-2m", "heun", "dpm2", "res-multistep"])
def test_image_i_is_that_of_dtool(recipe, flow):
    sigmas = torch.linspace(0.95, 0, 7, dtype=torch.float64) if flow else karras(6)
    plan = dtool.plan.compile(dtool.get_sampler(recipe), make_points(sigmas, flow=flow), prediction="x0")
    noise = dtool.run.noise.normals(4, np.arange(3, dtype=np.uint64), 0, (2, 4), plan.rows + 1)
    x = torch.from_numpy(plan.init * noise[0].astype(np.float64))
    ours = make_sampler(recipe, flow=flow, seed=4)(denoise, x, sigmas)
    drawn = iter([c * torch.from_numpy(z).double() for c, z in zip(plan.c, noise[1:], strict=True) if c])
    levels = iter(zip(plan.alpha.tolist(), plan.sigma.tolist(), strict=True))

    def predict(x, _):
        alpha, sigma = next(levels)
        size = alpha + sigma if flow else alpha
        return denoise(x / size, sigma / size * x.new_ones([3]))

    expected = dtool.run.loop.run(plan, predict, x, plan.sigma, drawn)
    assert (ours - expected).abs().max() < 1e-12


def test_one_path_of_noise_in_few_steps_and_in_many():
    """What a step adds is the path's increment: 10 and 40 steps come to nearly one picture, and else they do not."""
    x = start()
    made = {noise: [make_sampler("dpmpp-2m-sde", seed=2, noise=noise)(denoise, x, karras(n)) for n in (10, 40)]
            for noise in ("path", "rows")}  # fmt: skip
    apart = {noise: float((few - many).square().mean().sqrt()) for noise, (few, many) in made.items()}
    assert apart["path"] < 0.3 * apart["rows"]
    with pytest.raises(UsageError, match="there is no seed"):
        make_sampler("ddpm", noise="path")
    with pytest.raises(UsageError, match="neither path nor rows"):
        make_sampler("ddpm", seed=0, noise="brownian")


def test_the_callback_is_called_once_a_step():
    seen = []
    sigmas = karras(5)
    make_sampler("heun")(denoise, start(), sigmas, callback=seen.append)
    assert [one["i"] for one in seen] == [0, 1, 2, 3, 4]
    assert [one["sigma"] for one in seen] == sigmas[:-1].tolist()
    assert torch.equal(seen[0]["x"], start())
    assert torch.equal(seen[0]["denoised"], denoise(start(), sigmas[0] * torch.ones(3, dtype=torch.float64)))


def test_random_noise_without_a_seed():
    made = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        made.append(make_sampler("ddpm")(denoise, start(), karras(4)))
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


@pytest.mark.parametrize(("recipe", "cause"), [
    ("ddim@cosine", "says more than a sampler"), ("ddim/karras", "says more than a sampler"),
    ("ddim~3", "says more than a sampler"), ("ddim-inversion", "from images to noise"), ("nothing", "no sampler"),
])  # fmt: skip
def test_recipes_that_have_no_such_form(recipe, cause):
    with pytest.raises(UsageError, match=cause):
        make_sampler(recipe)


@pytest.mark.parametrize(("sigmas", "cause"), [
    ([1.0], "make no step"), ([1.0, 1.0], "do not fall"), ([1.0, 2.0], "do not fall"),
    ([float("nan"), 0], "no numbers"), ([1.0, -1.0], "negative"),
])  # fmt: skip
def test_sigmas_that_are_none(sigmas, cause):
    with pytest.raises(UsageError, match=cause):
        make_sampler("ddim")(denoise, start(), torch.tensor(sigmas))
    if sigmas[0] == 1.0 and len(sigmas) == 1:
        with pytest.raises(UsageError, match="begins at"):
            make_sampler("ddim", flow=True)(denoise, start(), torch.tensor([2.0, 0.0]))
