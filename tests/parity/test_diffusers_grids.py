"""The grids that other libraries have by design: the same times, and the same levels."""

import numpy as np
import pytest

from dtool.plan import grid
from dtool.schedulers import get_scheduler
from dtool.spacings import get_spacing

diffusers = pytest.importorskip("diffusers")

COUNTS = (1, 2, 3, 5, 7, 10, 31, 50, 61, 100, 103, 333, 999)
LATENT = get_scheduler("scaled-linear")
BETAS = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
FIRST = ("DDIMScheduler", "DDPMScheduler", "EulerDiscreteScheduler", "HeunDiscreteScheduler", "LMSDiscreteScheduler")
MULTISTEP = (
    "DPMSolverMultistepScheduler", "UniPCMultistepScheduler", "DEISMultistepScheduler", "SASolverScheduler",
)  # fmt: skip


def theirs(name, n, **options):
    scheduler = getattr(diffusers, name)(**BETAS, **options)
    scheduler.set_timesteps(n)
    return scheduler


def times_of(scheduler):
    """Their times, each once (Heun lists all but the first twice)."""
    times = scheduler.timesteps.numpy().astype(np.float64)
    return np.concatenate([times[:1], times[1::2]]) if "Heun" in type(scheduler).__name__ else times


@pytest.mark.parametrize("name", FIRST)
@pytest.mark.parametrize("kind", ["linspace", "leading", "trailing"])
def test_one_step_classes(name, kind):
    whole = name in ("DDIMScheduler", "DDPMScheduler")
    ours = "normal" if kind == "linspace" and not whole else f"{kind}:compat=diffusers"
    for n in COUNTS:
        found = get_spacing(ours)(LATENT, n)
        if n == 1 and kind == "linspace" and not whole:
            assert times_of(theirs(name, n, timestep_spacing=kind)).tolist() == [0], "one step, from t = 0"
            assert found.tolist() == [999], "ours starts at the noise"
            continue
        expected = times_of(theirs(name, n, timestep_spacing=kind))[:n]
        assert found == pytest.approx(expected, abs=1e-4), (name, kind, n)


@pytest.mark.parametrize("name", ["DDIMScheduler", "EulerDiscreteScheduler", "PNDMScheduler"])
def test_the_offset_of_stable_diffusion(name):
    for n in (2, 20, 30, 50):
        extra = {"skip_prk_steps": True} if name == "PNDMScheduler" else {}
        scheduler = theirs(name, n, timestep_spacing="leading", steps_offset=1, **extra)
        expected = list(dict.fromkeys(scheduler.timesteps.tolist()))  # PNDM lists its second time twice
        assert get_spacing("leading:compat=diffusers,offset=1")(LATENT, n).tolist() == expected


def test_their_trailing_has_a_time_too_many():
    """61 of 1,000: floats give them 62 times, the last of them -1. Ours has 61, even in their arithmetic."""
    assert theirs("DDIMScheduler", 61, timestep_spacing="trailing").timesteps.tolist()[-1] == -1
    assert get_spacing("trailing:compat=diffusers")(LATENT, 61).size == 61


@pytest.mark.parametrize("name", MULTISTEP)
@pytest.mark.parametrize("kind", ["linspace", "leading", "trailing"])
def test_multistep_classes(name, kind):
    for n in COUNTS:
        if kind != "trailing" and n == 999:
            continue  # they have a time twice, and we refuse
        expected = theirs(name, n, timestep_spacing=kind).timesteps.numpy()
        compat = "diffusers" if kind == "trailing" else "diffusers-multistep"
        assert get_spacing(f"{kind}:compat={compat}")(LATENT, n).tolist() == expected[:n].tolist(), (name, kind, n)


SIGMAS = {
    "karras": ({"use_karras_sigmas": True}, "round"),
    "lu": ({"use_lu_lambdas": True}, "round"),
    "exponential": ({"use_exponential_sigmas": True}, "floor"),
    "beta:compat=diffusers": ({"use_beta_sigmas": True}, "floor"),
}


@pytest.mark.parametrize("token", SIGMAS)
@pytest.mark.parametrize("n", [2, 3, 10, 31, 50])
def test_sigmas_of_dpm_solver(token, n):
    """Their levels are by formula, and what the network is told is rounded, or cut off."""
    if "beta" in token:
        pytest.importorskip("scipy")
    options, told = SIGMAS[token]
    scheduler = theirs("DPMSolverMultistepScheduler", n, **options)
    points = grid(LATENT, get_spacing(token).bind(**dict(get_spacing(token).options) | {"network_time": told}), n)
    assert [p.v for p in points] == pytest.approx(scheduler.sigmas.tolist(), rel=2e-5, abs=1e-12)
    # Their times come from float32 tables: a time that is whole is cut off to the one below, so 999 to 998.
    exact = [p.t for p in grid(LATENT, get_spacing(token), n)[:-1]]
    away = abs(exact - (np.round(exact) if told == "floor" else np.floor(exact) + 0.5))
    clear = away > 1e-2
    assert clear.sum() >= n - 4
    assert np.array([p.t for p in points[:-1]])[clear].tolist() == scheduler.timesteps.numpy()[clear].tolist()


@pytest.mark.parametrize("token", ["karras", "exponential", "beta:compat=diffusers"])
@pytest.mark.parametrize("kind", ["linspace", "leading", "trailing"])
@pytest.mark.parametrize("n", [2, 10, 31])
def test_sigmas_of_euler_have_the_ends_of_its_times(token, kind, n):
    """Euler spreads them over the levels of its own spacing by time, so that leading starts below the noise."""
    if "beta" in token and kind != "linspace":
        pytest.skip("beta:compat=diffusers has the schedule's ends")
    options = SIGMAS[token][0]
    scheduler = theirs("EulerDiscreteScheduler", n, timestep_spacing=kind, **options)
    over = {} if kind == "linspace" else {"over": f"{kind}:compat=diffusers"}
    points = grid(LATENT, get_spacing(token).bind(**dict(get_spacing(token).options) | over), n)
    assert [p.v for p in points] == pytest.approx(scheduler.sigmas.tolist(), rel=2e-5, abs=1e-12)
    assert [p.t for p in points[:-1]] == pytest.approx(scheduler.timesteps.tolist(), abs=0.02)


def test_their_sigma_min_is_our_first_level():
    for kind in ("linspace", "leading"):
        scheduler = theirs(
            "DPMSolverMultistepScheduler", 10, timestep_spacing=kind, final_sigmas_type="sigma_min", steps_offset=1
        )
        ours = f"{kind}:compat=diffusers-multistep,end=alpha_bar_0" + (",offset=1" if kind == "leading" else "")
        points = grid(LATENT, get_spacing(ours), 10)
        expected = scheduler.sigmas.numpy()
        if kind == "linspace":
            expected = np.array([*theirs_at(scheduler), expected[-1]])
        assert [p.v for p in points] == pytest.approx(expected.tolist(), rel=2e-5)


def theirs_at(scheduler):
    """Their levels where the steps begin."""
    return scheduler.sigmas[:-1].tolist()


@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize("n", [2, 10, 28])
def test_flow_matching(shift, n):
    """Their default grid shifts the cleanest level twice; Flux gives its own levels, 1 … 1/n, and shifts them once."""
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=shift)
    scheduler.set_timesteps(n)
    table = get_scheduler("flow", shift=shift)
    found = [p.sigma for p in grid(table, get_spacing("normal:compat=diffusers"), n)]
    assert found == pytest.approx(scheduler.sigmas.tolist(), abs=2e-6)
    scheduler.set_timesteps(sigmas=np.linspace(1, 1 / n, n))
    found = [p.sigma for p in grid(table, get_spacing("trailing:whole=false"), n)]
    assert found == pytest.approx(scheduler.sigmas.tolist(), abs=2e-6)


def test_dynamic_shift():
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    scheduler.set_timesteps(sigmas=np.linspace(1, 0.1, 10), mu=0.63)
    found = [p.sigma for p in grid(get_scheduler("flow:mu=0.63"), get_spacing("trailing"), 10)]
    assert found == pytest.approx(scheduler.sigmas.tolist(), abs=1e-6)


@pytest.mark.parametrize("name", ["linear", "scaled-linear", "cosine", "sigmoid-beta"])
def test_schedules(name):
    kind = {"linear": "linear", "scaled-linear": "scaled_linear", "cosine": "squaredcos_cap_v2"}.get(name, "sigmoid")
    ends = {"beta_start": 0.00085, "beta_end": 0.012} if kind == "scaled_linear" else {}
    scheduler = diffusers.DDPMScheduler(beta_schedule=kind, **ends)
    assert scheduler.alphas_cumprod.numpy() == pytest.approx(get_scheduler(name).alpha_bar, rel=1e-4, abs=1e-7)


def test_zero_snr_and_exp():
    scheduler = diffusers.DDIMScheduler(**BETAS, rescale_betas_zero_snr=True)
    assert scheduler.alphas_cumprod.numpy() == pytest.approx(
        get_scheduler("scaled-linear:zero_snr=true").alpha_bar, abs=1e-6
    )
    from diffusers.schedulers.scheduling_ddpm import betas_for_alpha_bar

    theirs_exp = betas_for_alpha_bar(1000, alpha_transform_type="exp").numpy()
    assert get_scheduler("exp").betas == pytest.approx(theirs_exp, rel=1e-4)


def test_edm_levels():
    scheduler = diffusers.EDMEulerScheduler()
    scheduler.set_timesteps(18)
    found = [p.v for p in grid(get_scheduler("edm"), get_spacing("karras"), 18)]
    assert found == pytest.approx(scheduler.sigmas.tolist(), rel=1e-5, abs=1e-12)
