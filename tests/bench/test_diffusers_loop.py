"""A recipe in diffusers' words, and its loop over the same network."""

from __future__ import annotations

import numpy as np
import pytest

import dtool
from dtool.bench import bench
from dtool.bench.diffusers_loop import NoEquivalentError, translate_recipe
from dtool.plan import Recipe
from tests.support.benchmarking import ON_TORCH, needs_diffusers, needs_torch
from tests.support.commandline import network

EQUAL = ["ddim", "ddim/leading", "dpmpp-2m", "dpmpp-2m:variant=heun"]


@needs_diffusers
@pytest.mark.parametrize("guidance", [None, 2.0])
@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("recipe", EQUAL)
def test_diffusers_draws_the_same_images(recipe, clip, guidance):
    found = bench(network(), recipe, steps=20, batches=[3], rounds=1, clip=clip, guidance=guidance)
    [timing] = [t for t in found.timings if t.name.startswith("diffusers")]
    assert timing.difference is not None
    assert timing.difference < 2e-4
    assert any("without clipping" in note for note in found.notes) == (clip and recipe.startswith("dpmpp"))


@needs_diffusers
@pytest.mark.parametrize("prediction", ["x0", "v"])
@pytest.mark.parametrize("recipe", ["ddim", "dpmpp-2m"])
def test_and_so_it_does_for_networks_that_predict_otherwise(recipe, prediction):
    def fn(x, t):
        return 0.5 * np.tanh(x) + 0.1 * np.sin(x + t[:, None] / 300)

    found = bench(dtool.network(fn, shape=(6,), prediction=prediction), recipe, steps=10, batches=[4], rounds=1)
    [timing] = [t for t in found.timings if t.name.startswith("diffusers")]
    assert timing.difference < 1e-4


@needs_diffusers
@pytest.mark.parametrize("recipe", ["ddpm", "ddpm:sigma=beta", "ddim:eta=0.5", "dpmpp-2m-sde", "dpmpp-2m/karras"])
def test_with_noise_of_its_own_nothing_is_compared(recipe):
    found = bench(network(), recipe, steps=4, batches=[2], rounds=2)
    [timing] = [t for t in found.timings if t.name.startswith("diffusers")]
    assert (timing.difference is None) == (recipe != "dpmpp-2m/karras")
    assert len(timing.seconds) == 2


@needs_diffusers
@needs_torch
def test_diffusers_runs_on_tensors_where_the_network_does():
    from dtool.run.torch_backend import TorchNetwork

    def fn(x, t, label):
        return 0.3 * x + 0.01 * (t + label)[:, None]

    spec = dtool.NetworkSpec(shape=(5,), schedule="linear", classes=3)
    found = bench(
        TorchNetwork(fn, spec, "cpu"),
        "ddim",
        steps=10,
        batches=[4],
        rounds=1,
        guidance=3.0,
        runtime=ON_TORCH,
    )
    [timing] = [t for t in found.timings if t.name.startswith("diffusers")]
    assert timing.difference < 1e-3
    assert found.backend == "torch"


SCHEDULERS = {
    "ddim": ("DDIMScheduler", {"timestep_spacing": "trailing", "clip_sample": False}),
    "ddpm": ("DDPMScheduler", {"variance_type": "fixed_small"}),
    "ddpm:sigma=beta": ("DDPMScheduler", {"variance_type": "fixed_large"}),
    "dpmpp-2m/karras": ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True, "algorithm_type": "dpmsolver++"}),
    "dpmpp-2m-sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++", "solver_type": "midpoint"}),
}


@pytest.mark.parametrize("recipe", SCHEDULERS)
def test_the_equivalent_recipe(recipe):
    kind, part = SCHEDULERS[recipe]
    found = translate_recipe(Recipe.parse(recipe), network(), 20, clip=False)
    assert found.kind == kind
    assert part.items() <= {k: v for k, v in found.config.items() if k != "trained_betas"}.items()
    assert np.allclose(found.config["trained_betas"], network().schedule.betas)


@pytest.mark.parametrize(
    ("recipe", "more", "clip", "reason"),
    [
        ("heun", {}, False, "has no heun"),
        ("ddpm:sigma=none", {}, False, "has no ddpm:sigma=none"),
        ("dpmpp-2m-sde:eta=0.5", {}, False, "has no dpmpp-2m-sde"),
        ("ddim@cosine", {}, False, "the schedule that the network was trained on"),
        ("ddim/karras", {}, False, "no spacing karras"),
        ("ddim/quadratic", {}, False, "no spacing quadratic"),
        ("dpmpp-2m/leading", {}, False, "no spacing leading"),
        ("ddim", {"prediction": "flow"}, False, "eps, x0 or v"),
        ("ddim", {"learned_variance": True}, False, "variance not learned"),
        ("ddim", {"data_range": (0.0, 1.0)}, True, "clip to -1"),
    ],
)
def test_what_diffusers_does_not_have_is_said(recipe, more, clip, reason):
    net = dtool.network(lambda x, t: x, shape=(4,), **more)
    with pytest.raises(NoEquivalentError, match=reason):
        translate_recipe(Recipe.parse(recipe), net, 20, clip=clip)
