"""k-diffusion's functions as plans, against their own runs."""

import importlib.util
import inspect
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
for _name in ("torchdiffeq", "torchsde", "scipy"):
    pytest.importorskip(_name)
if importlib.util.find_spec("k_diffusion") is None:
    pytest.skip("k-diffusion is not installed", allow_module_level=True)

import dtool  # noqa: E402
from dtool.bridges.k_diffusion_words import import_sampling  # noqa: E402
from dtool.bridges.probe import replace_names  # noqa: E402
from dtool.certify.adopted import adopt, find_same  # noqa: E402
from dtool.plan import Recipe  # noqa: E402
from tests.bridges.foreign_runs import ForeignRun, Noise, difference, run_plan  # noqa: E402

# Each function but the adaptive one, and options of theirs.
CONFIGS = [
    ("sample_euler", {}), ("sample_euler", {"s_churn": 2.0}), ("sample_euler_ancestral", {}),
    ("sample_euler_ancestral", {"eta": 0.4, "s_noise": 1.1}), ("sample_heun", {}), ("sample_heun", {"s_churn": 3.0}),
    ("sample_dpm_2", {}), ("sample_dpm_2_ancestral", {}), ("sample_lms", {}), ("sample_lms", {"order": 2}),
    ("sample_dpm_fast", {}), ("sample_dpm_fast", {"eta": 1.0}), ("sample_dpmpp_2s_ancestral", {}),
    ("sample_dpmpp_sde", {}), ("sample_dpmpp_sde", {"r": 0.3}), ("sample_dpmpp_2m", {}), ("sample_dpmpp_2m_sde", {}),
    ("sample_dpmpp_2m_sde", {"solver_type": "heun"}), ("sample_dpmpp_3m_sde", {}),
]  # fmt: skip
NAMES = [f"{name}-{options}" for name, options in CONFIGS]


def word(name, options):
    said = ",".join(f"{key}={value}" for key, value in options.items())
    return f"k-diffusion:{name}{':' if said else ''}{said}@linear/karras"


def run_alone(name, options, sigmas, least):
    """The function's own run on a network of σ: what it began from and was told, what it drew, where it came to."""
    function, noise, told = getattr(import_sampling(), name), Noise(torch.float64), []
    start = sigmas[0] * torch.randn((3, 2, 3, 3), generator=torch.Generator().manual_seed(3), dtype=torch.float64)

    def model(x, sigma):
        told.append(float(sigma.flatten()[0]))
        return image(x, told[-1])

    given = [torch.tensor(sigmas, dtype=torch.float64)]
    if "n" in inspect.signature(function).parameters:
        given = [least, sigmas[0], len(sigmas) - 1]
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        own = inspect.unwrap(function).__globals__
        fake = type("torch", (), dict(vars(torch), randn_like=noise.draw))
        with replace_names(own, torch=fake, BrownianTreeNoiseSampler=lambda *_, **__: noise.draw):
            end = function(model, start.clone(), *given, disable=True, **options)
    finally:
        torch.set_default_dtype(default)
    return ForeignRun(start, told, noise.drawn, end)


def image(x, sigma):
    """A denoiser that is nonlinear in x and σ."""
    return torch.tanh(x / (1 + sigma)) + 0.1 * torch.sin(x.roll(1, -1) / (1 + sigma) + sigma)


@pytest.mark.parametrize(("name", "options"), CONFIGS, ids=NAMES)
def test_the_plan_makes_what_the_function_makes(name, options, monkeypatch):
    monkeypatch.setattr("tests.bridges.foreign_runs.say", image)
    recipe = Recipe.parse(word(name, options))
    made = adopt(recipe, 7)
    points = dtool.plan.grid(recipe.scheduler, recipe.spacing, 7)
    least = dtool.plan.points_on(recipe.scheduler, [0.0])[0].v
    own = run_alone(name, options, [point.v for point in points], least)
    plan = replace(made.plan, c_in=np.ones(made.plan.rows))  # this network takes x as it is, in units of the image
    assert plan.rows == len(own.times)
    if not np.allclose(made.plan.init, points[0].v):  # noise that is drawn before the first call
        own = own._replace(start=own.start + (plan.init**2 - points[0].v ** 2) ** 0.5 * own.noises[0])
    assert difference(run_plan(replace(made, plan=plan), own), own.end) < 1e-12
    assert made.error < 1e-12


SAME = [
    ("sample_euler", "ddim"), ("sample_euler_ancestral", "ddpm"), ("sample_heun", "heun"), ("sample_lms", "lms"),
    ("sample_dpmpp_2m", "dpmpp-2m"), ("sample_dpmpp_2m_sde", "dpmpp-2m-sde"),
    ("sample_dpmpp_2s_ancestral", "dpmpp-2s-ancestral"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "ours"), SAME)
def test_it_is_the_method_that_dtool_has(name, ours):
    found, apart = find_same(adopt(Recipe.parse(word(name, {})), 10).plan)
    assert apart < 1e-10
    assert (found, apart) == (ours, apart)


def test_their_third_order_is_the_published_one():
    found, apart = find_same(adopt(Recipe.parse("k-diffusion:sample_dpmpp_3m_sde@linear/karras"), 10).plan)
    assert (found, apart < 1e-10) == ("dpmpp-3m-sde:variant=published", True)


def test_the_adaptive_one_is_refused():
    with pytest.raises(dtool.UsageError, match="sample_dpm_adaptive is adaptive"):
        dtool.plan("k-diffusion:sample_dpm_adaptive", steps=5)


def test_a_name_that_it_does_not_have():
    with pytest.raises(dtool.UsageError, match="no sampler 'sample_dpmpp_2n'") as error:
        dtool.plan("k-diffusion:sample_dpmpp_2n")
    assert "sample_dpmpp_2m" in error.value.hint


def test_it_walks_any_grid_of_dtools():
    own = dtool.plan("dpmpp-2m@cosine/logsnr", steps=6)
    plan = dtool.plan("k-diffusion:sample_dpmpp_2m@cosine/logsnr", steps=6)
    assert plan.alpha_bar == pytest.approx(own.alpha_bar, rel=1e-9)
    assert plan.time == pytest.approx(own.time, abs=1e-6)
    assert plan.recipe == "k-diffusion:sample_dpmpp_2m@cosine/logsnr"
    assert plan.cite.startswith("k-diffusion 0.")


def test_a_grid_without_signal_is_refused():
    with pytest.raises(dtool.UsageError, match="σ/α of its grid is not finite"):
        dtool.plan("k-diffusion:sample_euler@linear:zero_snr=true", steps=4)
