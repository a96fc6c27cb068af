"""denoising-diffusion-pytorch's other diffusions, each against its own sampling loop from the same noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import dtool
from dtool.models.readers.denoising_diffusion_pytorch import denoising_diffusion_pytorch
from tests.support.origin_packages import Draws, import_origin, relative_difference

SHAPE = (1, 8, 8)
LIKE = 3e-4  # of the largest number: float32 through 50 calls; with AVX-512 it was 1.1e-4 once, else below 1e-4
UNET = {"dim": 8, "dim_mults": (1, 2), "channels": 1, "attn_dim_head": 4, "attn_heads": 2}
FREQUENCIES = {
    "learned": {"learned_sinusoidal_cond": True},
    "random": {"random_fourier_features": True, "learned_sinusoidal_dim": 6},
}  # fmt: skip


def make(kind: str, unet: dict[str, Any] | None = None, size: Any = 8, **options: Any) -> Any:
    """A diffusion of the package around a U-Net with random weights."""
    package = import_origin("denoising_diffusion_pytorch")
    torch.manual_seed(0)
    return getattr(package, kind)(package.Unet(**UNET, **(unet or {})), image_size=size, **options).eval()


def save(folder: Path, diffusion: Any, name: str = "state.pt") -> Path:
    torch.save(diffusion.state_dict(), folder / name)
    return folder / name


def run_theirs(loop: Any, draws: Draws, monkeypatch: pytest.MonkeyPatch, *arguments: Any, **options: Any) -> Any:
    """Its loop, with its random numbers taken from `draws`, in -1 … 1."""
    with monkeypatch.context() as patch:
        patch.setattr(torch, "randn", draws)
        patch.setattr(torch, "randn_like", draws)
        images = loop(*arguments, **options)
    return images * 2 - 1


def run_mine(network: Any, draws: Draws, steps: int) -> Any:
    plan = dtool.plan(network.origin.recipe, network=network, steps=steps)
    noise = draws.noise[: plan.draws] if plan.stochastic else None
    return dtool.sample(network, plan, x=draws.start, noise=noise).x0


@pytest.mark.parametrize(
    ("objective", "schedule", "steps"),
    [("pred_noise", "linear", 10), ("pred_noise", "linear", 50), ("pred_x0", "cosine", 10), ("pred_v", "cosine", 50)],
)
def test_sequences_are_the_origins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, objective: str, schedule: str, steps: int
) -> None:
    package = import_origin("denoising_diffusion_pytorch")
    torch.manual_seed(0)
    unet = package.Unet1D(dim=8, dim_mults=(1, 2), channels=3, attn_dim_head=8)
    diffusion = package.GaussianDiffusion1D(
        unet, seq_length=16, timesteps=100, objective=objective, beta_schedule=schedule
    ).eval()
    network = dtool.load(save(tmp_path, diffusion), spec={"shape": (3, 16)}, device="cpu")
    assert network.origin.what.startswith("a 1-D U-Net of denoising-diffusion-pytorch, unconditional")
    draws, diffusion.sampling_timesteps = Draws((2, 3, 16), steps), steps
    theirs = run_theirs(diffusion.ddim_sample, draws, monkeypatch, (2, 3, 16))
    assert relative_difference(run_mine(network, draws, steps), theirs) < LIKE


@pytest.mark.parametrize(
    "options", [{"self_condition": True}, {"init_dim": 12}, {"learned_sinusoidal_cond": True}, {"dim_mults": (1, 1, 2)}]
)
def test_the_one_dimensional_unet_follows_from_its_weights(tmp_path: Path, options: dict[str, Any]) -> None:
    package = import_origin("denoising_diffusion_pytorch")
    unet = package.Unet1D(**{"dim": 8, "dim_mults": (1, 2), "channels": 2, **options}).eval()
    diffusion = package.GaussianDiffusion1D(unet, seq_length=16, timesteps=10)
    network = dtool.load(save(tmp_path, diffusion), spec={"shape": (2, 16)}, device="cpu")
    x, t = torch.randn(2, 2, 16), torch.tensor([3.0, 7.0])
    with torch.no_grad():
        assert torch.equal(network.predict(x, t), unet(x, t, None))
    assert "attention has 4 heads, the package's default" in network.origin.assumptions


@pytest.mark.parametrize("steps", [10, 50])
@pytest.mark.parametrize(
    ("frequencies", "schedule"),
    [("learned", "linear"), ("random", "cosine"), ("learned", "learned"), ("random", "v")],
)
def test_continuous_time_is_the_origins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frequencies: str, schedule: str, steps: int
) -> None:
    unet = FREQUENCIES[frequencies]
    if schedule == "v":
        diffusion = make("VParamContinuousTimeGaussianDiffusion", unet, channels=1, num_sample_steps=steps)
    else:
        options = {"noise_schedule": schedule, "learned_schedule_net_hidden_dim": 32}
        diffusion = make("ContinuousTimeGaussianDiffusion", unet, channels=1, num_sample_steps=steps, **options)
    said = {"shape": SHAPE, "prediction": "v" if schedule == "v" else "eps"}
    if schedule in ("linear", "cosine"):
        said["schedule"] = f"vdm-{schedule}"
    network = dtool.load(save(tmp_path, diffusion), spec=said, device="cpu")
    draws = Draws((2, *SHAPE), steps)
    theirs = run_theirs(diffusion.p_sample_loop, draws, monkeypatch, (2, *SHAPE))
    draws.arrays[-1] = 0  # its last step adds none
    mine = run_mine(network, draws, steps)
    assert relative_difference(mine.clip(-1, 1), theirs) < LIKE


@pytest.mark.parametrize("steps", [10, 50])
@pytest.mark.parametrize("churn", [0, 80], ids=["deterministic", "churn"])
def test_elucidated_diffusion_is_the_origins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, churn: float, steps: int
) -> None:
    """Noise is added from the first level on, beyond which dtool's grid cannot go up again: x begins there."""
    unet, options = {"learned_sinusoidal_cond": True}, {"S_churn": churn, "S_tmax": 100, "channels": 1}
    diffusion = make("ElucidatedDiffusion", unet, num_sample_steps=steps, **options)
    top = 80 * 2**0.5 if churn else 80.0
    said = {"shape": SHAPE, "schedule": f"edm:sigma_max={top}"}
    network = dtool.load(save(tmp_path, diffusion), spec=said, device="cpu")
    draws = Draws((2, *SHAPE), steps, seed=1)
    theirs = run_theirs(diffusion.sample, draws, monkeypatch, batch_size=2)
    sigmas = diffusion.sample_schedule().double()[:-1]
    stirred = ((sigmas >= 0.05) & (sigmas <= 100)) if churn else torch.zeros(steps, dtype=torch.bool)
    levels = torch.where(stirred, sigmas * 2**0.5, sigmas).clamp(max=top)  # from which its steps go: γ is at its most
    sampler = network.origin.recipe.partition("/")[0].replace("s_max=50", "s_max=100") if churn else "heun"
    recipe = f"{sampler}/list:times={';'.join(repr(each) for each in levels.tolist())},unit=v"
    plan = dtool.plan(recipe, network=network, steps=steps)
    x = sigmas[0] * draws.start + (1.003 * (top**2 - sigmas[0] ** 2) ** 0.5 * draws.noise[0] if churn else 0)
    noise = draws.noise[stirred][1:] if churn else None
    mine = dtool.sample(network, plan, x=x.float(), noise=noise).x0
    assert relative_difference(mine, theirs) < LIKE


def test_an_elucidated_diffusions_own_numbers(tmp_path: Path) -> None:
    diffusion = make("ElucidatedDiffusion", {"learned_sinusoidal_cond": True}, channels=1)
    said = {"shape": SHAPE, "prediction": "edm:sigma_data=0.25", "schedule": "edm:sigma_max=50"}
    network = dtool.load(save(tmp_path, diffusion), spec=said, device="cpu")
    assert (network.prediction, network.spec.schedule) == ("edm:sigma_data=0.25", "edm:sigma_max=50.0")
    assert network.origin.steps == 32
    assert not [each for each in network.origin.assumptions if "default" in each and "theta" not in each]


@pytest.mark.parametrize("steps", [10, 50])
def test_learned_variance_is_the_origins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    diffusion = make("LearnedGaussianDiffusion", {"learned_variance": True}, timesteps=steps, beta_schedule="cosine")
    network = dtool.load(save(tmp_path, diffusion), spec={"shape": SHAPE}, device="cpu")
    assert network.prediction == "eps", "whatever objective its loss weights are of, the loss is of the noise"
    assert (network.origin.recipe, network.origin.steps) == ("ddpm:sigma=learned/trailing", steps)
    draws = Draws((2, *SHAPE), steps)
    theirs = run_theirs(diffusion.p_sample_loop, draws, monkeypatch, (2, *SHAPE))
    assert relative_difference(run_mine(network, draws, steps), theirs) < LIKE


@pytest.mark.parametrize("steps", [10, 50])
def test_weighted_objective_is_the_origins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    diffusion = make("WeightedObjectiveGaussianDiffusion", {"out_dim": 4}, timesteps=steps, beta_schedule="cosine")
    network = dtool.load(save(tmp_path, diffusion), spec={"shape": SHAPE}, device="cpu")
    assert (network.prediction, network.origin.steps) == ("eps", steps)
    mean = diffusion.p_mean_variance  # three values, where the package's own loop takes four
    diffusion.p_mean_variance = lambda *, x_self_cond=None, **given: (*mean(**given), None)
    draws = Draws((2, *SHAPE), steps)
    theirs = run_theirs(diffusion.p_sample_loop, draws, monkeypatch, (2, *SHAPE))
    assert relative_difference(run_mine(network, draws, steps), theirs) < LIKE


@pytest.mark.parametrize(
    ("kind", "unet", "spec", "cause", "remedy"),
    [
        ("ContinuousTimeGaussianDiffusion", {}, {}, "does not say what it predicts", "say --prediction eps or v"),
        ("ContinuousTimeGaussianDiffusion", {}, {"prediction": "x0"}, "no objective 'x0'", "say --prediction eps or v"),
        (
            "ContinuousTimeGaussianDiffusion", {}, {"prediction": "eps"}, "does not show its schedule",
            "say --schedule vdm-linear or vdm-cosine",
        ),
        (
            "VParamContinuousTimeGaussianDiffusion", {}, {"prediction": "v", "schedule": "vdm-linear"},
            "its schedule cannot be vdm-linear", "say --schedule vdm-cosine",
        ),
        ("ElucidatedDiffusion", {}, {"prediction": "eps"}, "has EDM's preconditioning", "say --prediction edm:sigma_d"),
        ("ElucidatedDiffusion", {}, {"schedule": "linear"}, "has EDM's preconditioning", "--schedule edm:sigma_min"),
        ("LearnedGaussianDiffusion", {"learned_variance": True}, {"prediction": "v"}, "predicts eps", "leave out"),
    ],
)  # fmt: skip
def test_what_has_to_be_said(
    tmp_path: Path, kind: str, unet: dict[str, Any], spec: dict[str, Any], cause: str, remedy: str
) -> None:
    options = {"timesteps": 10} if unet else {"channels": 1}
    path = save(tmp_path, make(kind, unet or {"random_fourier_features": True}, **options))
    with pytest.raises(dtool.errors.UsageError, match=cause) as caught:
        dtool.load(path, spec={"shape": SHAPE, **spec})
    assert remedy in caught.value.hint


def test_a_learned_schedule_is_not_said(tmp_path: Path) -> None:
    unet, options = {"learned_sinusoidal_cond": True}, {"noise_schedule": "learned", "channels": 1}
    path = save(tmp_path, make("ContinuousTimeGaussianDiffusion", unet, **options))
    with pytest.raises(dtool.errors.UsageError, match="says its schedule itself"):
        dtool.load(path, spec={"shape": SHAPE, "prediction": "eps", "schedule": "vdm-linear"})


def test_sequences_have_two_sizes(tmp_path: Path) -> None:
    package = import_origin("denoising_diffusion_pytorch")
    diffusion = package.GaussianDiffusion1D(package.Unet1D(dim=8, dim_mults=(1, 2), channels=2), seq_length=16)
    path = save(tmp_path, diffusion)
    for shape, cause in [(None, "how large its sequences are"), ((2, 8, 8), "has 2 channels"), ((2, 9), "halves")]:
        with pytest.raises(dtool.errors.UsageError, match=cause):
            dtool.load(path, spec={"shape": shape} if shape else None)


def test_what_is_recognised(tmp_path: Path) -> None:
    elucidated = make("ElucidatedDiffusion", {"learned_sinusoidal_cond": True}, channels=1)
    plain = save(tmp_path, elucidated)
    state = {f"ema_model.{name}": value for name, value in elucidated.state_dict().items()}
    torch.save({"step": 1, "ema": {"step": torch.tensor(1), **state}}, tmp_path / "trainer.pt")
    assert denoising_diffusion_pytorch.recognises(plain)
    assert denoising_diffusion_pytorch.recognises(tmp_path / "trainer.pt")
    averaged = dtool.load(tmp_path / "trainer.pt", spec={"shape": SHAPE}, device="cpu")
    assert averaged.origin.what.endswith("unconditional, elucidated, averaged weights")
    alone = {name.removeprefix("net."): value for name, value in elucidated.state_dict().items()}
    torch.save({f"model.{name}": value for name, value in alone.items() if "weights" not in name}, tmp_path / "a.pt")
    assert not denoising_diffusion_pytorch.recognises(tmp_path / "a.pt"), "neither betas nor frequencies"
