"""Every name of a sampler or a spacing in four other places is a recipe of dtool, or is refused with the reason."""

import re

import pytest

from dtool.bridges.scheduler_configs import describe_differences
from dtool.bridges.scheduler_configs import recipe as read_config
from dtool.errors import UsageError
from dtool.guidances import get_guidance
from dtool.models.readers.diffusers_config import DEFAULTS
from dtool.plan import Recipe, plan
from dtool.plugins.known_recipes import DIFFUSERS, METHODS_OF_DIFFUSERS
from dtool.plugins.refused_names import NOT_GAUSSIAN, OWN_LOOPS, explain_refused_name
from dtool.spacings import get_spacing


def list_words(text):
    return tuple(text.split())


# comfy/samplers.py of ComfyUI at commit 311c01406130b2acbe8ab291043502de26cf3871: KSAMPLER_NAMES and what SAMPLER_NAMES
# adds; SCHEDULER_NAMES.
COMFYUI = list_words("""
    euler euler_cfg_pp euler_ancestral euler_ancestral_cfg_pp heun heunpp2 exp_heun_2_x0 exp_heun_2_x0_sde dpm_2
    dpm_2_ancestral lms dpm_fast dpm_adaptive dpmpp_2s_ancestral dpmpp_2s_ancestral_cfg_pp dpmpp_sde
    dpmpp_sde_gpu dpmpp_2m dpmpp_2m_cfg_pp dpmpp_2m_sde dpmpp_2m_sde_gpu dpmpp_2m_sde_heun dpmpp_2m_sde_heun_gpu
    dpmpp_3m_sde dpmpp_3m_sde_gpu ddpm lcm ipndm ipndm_v deis cfgpp_ud10_ab res_multistep res_multistep_cfg_pp
    res_multistep_ancestral res_multistep_ancestral_cfg_pp gradient_estimation gradient_estimation_cfg_pp er_sde
    seeds_2 seeds_3 sa_solver sa_solver_pece ddim uni_pc uni_pc_bh2
""")
COMFYUI_SPACINGS = list_words("""
    simple sgm_uniform karras exponential ddim_uniform beta normal linear_quadratic kl_optimal
""")
# k_diffusion/sampling.py of k-diffusion 0.1.1.post1.
K_DIFFUSION = list_words("""
    sample_euler sample_euler_ancestral sample_heun sample_dpm_2 sample_dpm_2_ancestral sample_lms
    sample_dpm_fast sample_dpm_adaptive sample_dpmpp_2s_ancestral sample_dpmpp_sde sample_dpmpp_2m
    sample_dpmpp_2m_sde sample_dpmpp_3m_sde
""")
# The classes in diffusers/schedulers/__init__.py of diffusers 0.42.1.
CLASSES = list_words("""
    Amused BlockRefinement CMStochasticIterative CogVideoXDDIM CogVideoXDPM ConsistencyDecoder
    CosineDPMSolverMultistep DDIMInverse DDIMParallel DDIM DDPMParallel DDPM DDPMWuerstchen DEISMultistep
    DPMSolverMultistepInverse DPMSolverMultistep DPMSolverSDE DPMSolverSinglestep DiscreteDDIM
    EDMDPMSolverMultistep EDMEuler EntropyBound EulerAncestralDiscrete EulerDiscrete FlowMapEulerDiscrete
    FlowMatchEulerDiscrete FlowMatchHeunDiscrete FlowMatchLCM HeliosDMD Helios HeunDiscrete IPNDM
    KDPM2AncestralDiscrete KDPM2Discrete KarrasVe LCM LMSDiscrete LTXEulerAncestralRF MiniMaxH3 PNDM Piflow
    RFD4Proteina RePaint SASolver SCM ScoreSdeVe ScoreSdeVp TCD UnCLIP UniPCMultistep VQDiffusion
""")
# modules/sd_samplers_*.py and sd_schedulers.py of AUTOMATIC1111's stable-diffusion-webui 1.10.1.
A1111 = (
    "DPM++ 2M", "DPM++ SDE", "DPM++ 2M SDE", "DPM++ 2M SDE Heun", "DPM++ 2S a", "DPM++ 3M SDE", "Euler a", "Euler",
    "LMS", "Heun", "DPM2", "DPM2 a", "DPM fast", "DPM adaptive", "Restart", "DDIM", "DDIM CFG++", "PLMS", "UniPC",
    "LCM",
)  # fmt: skip
A1111_SPACINGS = (
    "Automatic", "Uniform", "Karras", "Exponential", "Polyexponential", "SGM Uniform", "KL Optimal", "Align Your Steps",
    "Simple", "Normal", "DDIM", "Beta",
)  # fmt: skip
# modules_forge/alter_samplers.py of Forge at commit 8eeeace7252856f187cbf26e1c3f68ad8695afcb, and its spacing Turbo.
FORGE = ("DDPM", "HeunPP2", "IPNDM", "IPNDM_V", "DEIS")
# modules/sd_samplers_diffusers.py of SD.Next at commit 046840c8be23370001da165076a81465260c62cb: those of methods that
# diffusers has, under SD.Next's names.
SDNEXT = (
    "UniPC", "DDIM", "Euler", "Euler a", "Euler SGM", "Euler EDM", "Euler FlowMatch", "DPM++ 2M", "DPM++ 3M",
    "DPM++ SDE", "DPM++ 2M SDE", "DPM++ 2M EDM", "DPM SDE", "UniPC FlowMatch", "Heun", "Heun FlowMatch", "DEIS",
    "SA Solver", "PNDM", "IPNDM", "DDPM", "LMSD", "KDPM2", "KDPM2 a", "CMSI", "LCM", "LCM FlowMatch", "TCD",
)  # fmt: skip
SAMPLERS = (
    *COMFYUI,
    *(f"sample_{name}" for name in COMFYUI if name not in ("ddim", "uni_pc", "uni_pc_bh2")),
    *FORGE,
    *SDNEXT,
    *K_DIFFUSION,
    *(f"{name}Scheduler" for name in CLASSES),
    *A1111,
)
REFUSED = {
    "dpm_adaptive", "sample_dpm_adaptive", "DPM adaptive", "cfgpp_ud10_ab", "sample_cfgpp_ud10_ab",
    *NOT_GAUSSIAN, *OWN_LOOPS,
}  # fmt: skip


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_is_a_recipe_or_is_refused_with_what_comes_nearest(name):
    if name not in REFUSED:
        assert plan(name, steps=10, prediction="v").rows >= 9
        return
    with pytest.raises(UsageError, match=rf"^{re.escape(name)} ") as error:
        Recipe.parse(name)
    assert str(error.value) != name
    assert len(error.value.hint) > 10


def test_what_a_refusal_names_instead_can_be_typed():
    for name in REFUSED:
        why, instead = explain_refused_name("sampler", name)
        assert "\n" not in why + instead
        first = instead.split()[0].rstrip(",;")
        assert first == "dtool" or Recipe.parse(first).rule, name


@pytest.mark.parametrize("name", [*COMFYUI_SPACINGS, *A1111_SPACINGS, "Turbo"])
def test_a_spacing_is_one_of_ours_or_is_refused(name):
    if name == "Automatic":
        with pytest.raises(UsageError, match="it is the one that a sampler is listed with"):
            get_spacing(name)
        return
    assert str(Recipe.parse(f"ddim/{name}")) == f"ddim/{get_spacing(name).token}".removesuffix("/trailing")


@pytest.mark.parametrize("name", ["apg", "CFG-Zero*", "pag"])
def test_guidance_that_is_no_sum_is_refused(name):
    with pytest.raises(UsageError, match=r"no sum with fixed weights|inside the network") as error:
        get_guidance(name)
    assert error.value.hint
    with pytest.raises(UsageError, match=r"no sum with fixed weights|inside the network"):
        Recipe.parse(name)


@pytest.mark.parametrize("name", DIFFUSERS)
def test_a_class_stands_for_its_defaults(name):
    """The recipe that an empty config is, on the schedule of its betas where they are not DDPM's."""
    said, known = read_config({"_class_name": name}), Recipe.parse(DIFFUSERS[name])
    assert str(Recipe(known.rule, None, known.spacing)) == str(Recipe.parse(said.recipe))
    defaults = DEFAULTS[name]
    ddpm = (1e-4, 0.02, "linear")
    betas = tuple(defaults.get(key) for key in ("beta_start", "beta_end", "beta_schedule"))
    assert (known.scheduler is None) == (betas == ddpm)
    if betas != ddpm and betas[0] is not None:
        options = known.scheduler.token
        assert options.partition(":")[0].replace("-", "_") == betas[2]
        assert np_betas(known.scheduler) == pytest.approx(betas[:2])


def np_betas(schedule):
    return schedule.betas[0], schedule.betas[-1]


def test_what_is_written_goes_before_a_classs_defaults():
    assert str(Recipe.parse("HeunDiscreteScheduler@cosine/karras")) == "heun@cosine/karras"
    assert str(Recipe.parse("heundiscretescheduler/karras")) == "heun@linear:beta_start=0.00085,beta_end=0.012/karras"
    with pytest.raises(UsageError, match="names its spacing already"):
        Recipe.parse("DPM++ 2M Karras/logsnr")


def test_the_difference_from_diffusers_is_said():
    assert any("half-way levels" in one for one in describe_differences("PNDMScheduler"))
    for name in ("ipndm_v", "sample_ipndm_v", "IPNDM_V"):
        assert "of order 2" in describe_differences(name)[0]
    assert "Euler's method" in describe_differences("sample_ipndm")[0]
    assert describe_differences("EulerDiscreteScheduler") == () == describe_differences("ddim")
    for name in METHODS_OF_DIFFUSERS:
        assert f"diffusers:{name} has that too" in describe_differences(name)[0]
