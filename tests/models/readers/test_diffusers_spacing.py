"""Tokens of spacings, and what a scheduler's own spacing becomes."""

import pytest

from dtool.models.readers.diffusers_scheduler import read_scheduler_config
from dtool.models.readers.diffusers_task import format_sampler, format_spacing
from dtool.plan import Recipe

LEADING = {"timestep_spacing": "leading", "steps_offset": 1}
SIGMA_MIN = {"final_sigmas_type": "sigma_min"}


def test_tokens():
    assert format_spacing("leading", offset=1, compat="diffusers", end=None) == "leading:offset=1,compat=diffusers"
    assert format_spacing("karras", rho=7.0) == "karras"
    assert format_sampler("ddim", use_clipped=False, eta=None) == "ddim:use_clipped=false"


@pytest.mark.parametrize(
    ("kind", "config", "spacing"),
    [
        ("DDIMScheduler", {"timestep_spacing": "linspace", "steps_offset": 1}, "linspace:compat=diffusers"),
        ("EulerDiscreteScheduler", {}, "normal"),
        ("EulerDiscreteScheduler", LEADING | SIGMA_MIN, "leading:offset=1,compat=diffusers,end=alpha_bar_0"),
        (
            "EulerDiscreteScheduler", LEADING | {"use_karras_sigmas": True},
            'karras:over="leading:offset=1,compat=diffusers"',
        ),
        ("EulerDiscreteScheduler", SIGMA_MIN, "normal:end=stay"),
        ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}, "karras:network_time=round"),
        ("DEISMultistepScheduler", {"use_karras_sigmas": True}, "karras:end=stay,network_time=round"),
        ("DPMSolverMultistepScheduler", {"use_lu_lambdas": True}, "logsnr:network_time=round"),
        ("DPMSolverMultistepScheduler", {"use_exponential_sigmas": True}, "logsnr:network_time=floor"),
        ("DPMSolverMultistepScheduler", {"use_beta_sigmas": True}, "beta:compat=diffusers,network_time=floor"),
        ("DPMSolverMultistepScheduler", {"timestep_spacing": "trailing"}, "trailing:compat=diffusers"),
    ],
)  # fmt: skip
def test_spacings(kind, config, spacing):
    assert Recipe.parse(read_scheduler_config(config, class_name=kind).recipe).spacing.token == spacing


def test_ends_beyond_the_schedule():
    config = {"use_karras_sigmas": True, "sigma_min": 0.02, "sigma_max": 700.0}
    found = read_scheduler_config(config, class_name="EulerDiscreteScheduler")
    assert found.recipe == "euler/karras:sigma_min=0.02"
    assert any("beyond the levels" in difference for difference in found.differences)


def test_a_smaller_start_is_written_down():
    config = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
    [difference] = read_scheduler_config(config, class_name="EulerDiscreteScheduler").differences
    assert "0.23% smaller" in difference
    assert not read_scheduler_config(config | LEADING, class_name="EulerDiscreteScheduler").differences
