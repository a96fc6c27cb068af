"""Checkpoints of denoising-diffusion-pytorch, as its Trainer saves them, against its own sampling loops."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import dtool
from dtool.models.readers.denoising_diffusion_pytorch import denoising_diffusion_pytorch
from tests.support.origin_packages import Draws, import_origin, relative_difference

UNET = {"dim": 8, "dim_mults": (1, 2), "channels": 1, "attn_dim_head": 4, "attn_heads": 2}
SHAPE = (1, 8, 8)
WORDS = {"pred_noise": "eps", "pred_x0": "x0", "pred_v": "v"}


def save(path: Path, diffusion: Any) -> Path:
    """What the package's own `Trainer.save` writes of a diffusion; training itself needs a folder of images."""
    package = import_origin("denoising_diffusion_pytorch.denoising_diffusion_pytorch")
    accelerate = pytest.importorskip("accelerate")
    trainer = package.Trainer.__new__(package.Trainer)
    trainer.accelerator, trainer.model, trainer.step = accelerate.Accelerator(cpu=True), diffusion, 3
    trainer.opt = torch.optim.Adam(diffusion.parameters())
    trainer.opt.zero_grad()
    diffusion(torch.rand(2, *SHAPE)).backward()
    trainer.opt.step()
    trainer.ema, trainer.results_folder = package.EMA(diffusion), path.parent
    trainer.save(path.stem.removeprefix("model-"))
    return path


def make(seed: int = 0, unet: dict[str, Any] | None = None, **options: Any) -> Any:
    package = import_origin("denoising_diffusion_pytorch")
    torch.manual_seed(seed)
    network = package.Unet(**(UNET if unet is None else unet))
    return package.GaussianDiffusion(network, image_size=8, timesteps=100, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ddp")


@pytest.fixture(scope="module")
def checkpoint(folder: Path) -> Path:
    return save(folder / "model-1.pt", make())


def run_theirs(diffusion: Any, draws: Draws, steps: int, monkeypatch: pytest.MonkeyPatch, *arguments: Any) -> Any:
    """Its DDIM loop, with its random numbers taken from `draws`, in -1 … 1."""
    diffusion.sampling_timesteps = steps
    with monkeypatch.context() as patch:
        patch.setattr(torch, "randn", draws)
        patch.setattr(torch, "randn_like", draws)
        images = diffusion.eval().ddim_sample(*arguments, tuple(draws.start.shape))
    return images * 2 - 1


@pytest.mark.parametrize("steps", [10, 50])
@pytest.mark.parametrize(
    ("objective", "schedule"), [("pred_v", "sigmoid"), ("pred_noise", "linear"), ("pred_x0", "cosine")]
)
def test_ddim_is_the_origins(
    folder: Path, monkeypatch: pytest.MonkeyPatch, objective: str, schedule: str, steps: int
) -> None:
    path = folder / f"model-{objective}.pt"
    diffusion = make(objective=objective, beta_schedule=schedule)
    save(path, diffusion)
    diffusion = diffusion_of(path, diffusion)
    network = dtool.load(path, spec={"shape": SHAPE}, device="cpu")
    assert network.prediction == WORDS[objective]
    assert network.spec.clip
    draws = Draws((3, *SHAPE), steps)
    theirs = run_theirs(diffusion, draws, steps, monkeypatch)
    mine = dtool.sample(network, network.origin.recipe, steps=steps, x=draws.start)
    assert relative_difference(mine.x0, theirs) < 1e-4


def diffusion_of(path: Path, diffusion: Any) -> Any:
    """The diffusion with the averaged weights of its file, as its makers load it to sample."""
    held = torch.load(path, weights_only=True)["ema"]
    own = {name.removeprefix("ema_model."): value for name, value in held.items() if name.startswith("ema_model.")}
    diffusion.load_state_dict(own)
    return diffusion


@pytest.mark.parametrize("steps", [10, 50])
def test_ddim_with_noise_is_the_origins(checkpoint: Path, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    diffusion = diffusion_of(checkpoint, make(ddim_sampling_eta=0.7))
    network = dtool.load(checkpoint, spec={"shape": SHAPE}, device="cpu")
    draws = Draws((2, *SHAPE), steps)
    theirs = run_theirs(diffusion, draws, steps, monkeypatch)
    plan = dtool.plan("ddim:eta=0.7/trailing", network=network, steps=steps)
    mine = dtool.sample(network, plan, x=draws.start, noise=draws.noise[: plan.draws])
    assert relative_difference(mine.x0, theirs) < 1e-4


def test_ancestral_sampling_of_all_steps_is_the_origins(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    diffusion = diffusion_of(checkpoint, make())
    network = dtool.load(checkpoint, spec={"shape": SHAPE}, device="cpu")
    draws = Draws((2, *SHAPE), 100)
    with monkeypatch.context() as patch:
        patch.setattr(torch, "randn", draws)
        patch.setattr(torch, "randn_like", draws)
        theirs = diffusion.eval().p_sample_loop((2, *SHAPE)) * 2 - 1
    plan = dtool.plan("ddpm:sigma=tilde/trailing", network=network, steps=100)
    mine = dtool.sample(network, plan, x=draws.start, noise=draws.noise[: plan.draws])
    assert relative_difference(mine.x0, theirs) < 1e-4


@pytest.mark.parametrize("gamma", [1, 5])
@pytest.mark.parametrize("objective", list(WORDS))
def test_the_loss_weights_show_the_objective(folder: Path, objective: str, gamma: float) -> None:
    diffusion = make(objective=objective, min_snr_loss_weight=True, min_snr_gamma=gamma)
    path = folder / "state.pt"
    torch.save(diffusion.state_dict(), path)
    assert dtool.load(path, spec={"shape": SHAPE}, device="cpu").prediction == WORDS[objective]


def test_without_loss_weights_the_objective_is_asked_for(folder: Path) -> None:
    path = folder / "old.pt"
    torch.save({k: v for k, v in make().state_dict().items() if k != "loss_weight"}, path)
    with pytest.raises(dtool.errors.UsageError, match="does not show its objective") as caught:
        dtool.load(path, spec={"shape": SHAPE})
    assert "--prediction eps, v or x0" in caught.value.hint
    network = dtool.load(path, spec={"shape": SHAPE, "prediction": "v"}, device="cpu")
    assert network.prediction == "v"
    assert "the objective is pred_v, as you say" in network.origin.assumptions


@pytest.mark.parametrize(
    "options",
    [
        {"init_dim": 12}, {"channels": 3, "dim_mults": (1, 2, 3)}, {"full_attn": (True, True)},
        {"attn_heads": (1, 3), "attn_dim_head": (4, 8), "dim_mults": (2, 1)}, {"self_condition": True},
    ],
)  # fmt: skip
def test_the_unet_follows_from_its_weights(folder: Path, options: dict[str, Any]) -> None:
    unet = {**UNET, **options}
    diffusion = make(unet=unet).eval()
    path, shape = folder / "varied.pt", (unet["channels"], 8, 8)
    torch.save(diffusion.state_dict(), path)
    network = dtool.load(path, spec={"shape": shape}, device="cpu")
    x, t = torch.randn(2, *shape), torch.tensor([3.0, 70.0])
    with torch.no_grad():
        assert torch.equal(network.predict(x, t), diffusion.model(x, t, None))
    assert bool(network.origin.differences) is bool(unet.get("self_condition"))


@pytest.fixture(scope="module")
def guided() -> Any:
    package = import_origin("denoising_diffusion_pytorch.classifier_free_guidance")
    torch.manual_seed(1)
    unet = package.Unet(dim=8, num_classes=3, dim_mults=(1, 2), channels=1, attn_dim_head=8)
    unet.forward_with_cond_scale = partial(unet.forward_with_cond_scale, remove_parallel_component=False)
    return package.GaussianDiffusion(unet, image_size=8, timesteps=100, objective="pred_v", ddim_sampling_eta=1.0)


@pytest.mark.parametrize("steps", [10, 50])
@pytest.mark.parametrize("scale", [1.0, 5.0])
def test_classifier_free_guidance_is_the_origins(
    folder: Path, monkeypatch: pytest.MonkeyPatch, guided: Any, steps: int, scale: float
) -> None:
    path = folder / "guided.pt"
    torch.save(guided.state_dict(), path)
    network = dtool.load(path, spec={"shape": SHAPE, "prediction": "v"}, device="cpu")
    assert network.classes == 3
    assert network.spec.guidable
    labels, draws = torch.tensor([0, 2, 1]), Draws((3, *SHAPE), steps)
    guided.sampling_timesteps, shape = steps, (3, *SHAPE)
    with monkeypatch.context() as patch:
        patch.setattr(torch, "randn", draws)
        patch.setattr(torch, "randn_like", draws)
        near = scale if scale != 1 else 1 + 1e-9  # at 1 exactly its loop takes two images for a pair of outputs
        theirs = guided.eval().ddim_sample(labels, shape, cond_scale=near, rescaled_phi=0.0) * 2 - 1
    plan = dtool.plan(network.origin.recipe, network=network, steps=steps)
    mine = dtool.sample(
        network, plan, x=draws.start, noise=draws.noise[: plan.draws], labels=labels.tolist(), guidance=scale
    )
    assert relative_difference(mine.x0, theirs) < 1e-4


def test_what_it_is_and_how_it_is_sampled(checkpoint: Path) -> None:
    network = dtool.load(checkpoint, spec={"shape": SHAPE}, device="cpu")
    assert network.origin.what == "a U-Net of denoising-diffusion-pytorch, unconditional, averaged weights"
    assert network.origin.recipe == "ddim/trailing"
    assert network.origin.assumptions == ("the frequencies of the time are of theta 10000, the package's default",)


@pytest.mark.parametrize(
    ("spec", "cause", "remedy"),
    [
        ({}, "does not say how large its images are", "say --shape 1,64,64"),
        ({"shape": (3, 8, 8)}, r"the network has 1 channels; got shape=\(3, 8, 8\)", "say --shape 1,64,64"),
        ({"shape": (1, 9, 8)}, r"the network halves images 1 times; got shape=\(1, 9, 8\)", "sizes that 2 divides"),
        ({"shape": SHAPE, "prediction": "flow"}, "has no objective 'flow'", "say --prediction eps, v or x0"),
        ({"shape": SHAPE, "prediction": "eps"}, "trained with pred_v: its loss weights", "leave out --prediction"),
        ({"shape": SHAPE, "schedule": "cosine"}, "says its schedule itself", "leave out --schedule"),
    ],
)  # fmt: skip
def test_words_that_the_file_contradicts(checkpoint: Path, spec: dict[str, Any], cause: str, remedy: str) -> None:
    with pytest.raises(dtool.errors.UsageError, match=cause) as caught:
        dtool.load(checkpoint, spec=spec)
    assert remedy in caught.value.hint


def change(content: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    return {**content, name: value} if value is not None else {k: v for k, v in content.items() if k != name}


@pytest.mark.parametrize(
    ("name", "value", "cause"),
    [
        ("model.mid_block1.mlp.1.weight", None, "the state dict lacks mid_block1.mlp.1.weight"),
        ("model.extra.weight", torch.zeros(1), "the state dict has an unknown extra.weight"),
        ("model.final_conv.bias", torch.zeros(2), r"has final_conv.bias of shape \(2,\), not \(1,\)"),
        ("model.final_conv.bias", torch.full((1,), float("nan")), "hold NaN or infinity"),
        ("model.final_conv.bias", 3, "final_conv.bias is not a tensor"),
        ("model.final_conv.weight", None, "final_conv.weight is not there"),
        ("betas", torch.zeros(2, 2), "betas is not there, or no list of numbers"),
        ("model.downs.0.2.mem_kv", None, "downs.0.2.mem_kv is not there"),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit(folder: Path, name: str, value: Any, cause: str) -> None:
    path = folder / "broken.pt"
    torch.save(change(dict(make().state_dict()), name, value), path)
    with pytest.raises(dtool.DtoolError, match=cause) as caught:
        dtool.load(path, spec={"shape": SHAPE})
    assert caught.value.hint


def test_a_truncated_file(folder: Path, checkpoint: Path) -> None:
    path = folder / "short.pt"
    path.write_bytes(checkpoint.read_bytes()[:-500])
    assert not denoising_diffusion_pytorch.recognises(path)
    with pytest.raises(dtool.DtoolError, match="the file is damaged") as caught:
        dtool.load(path, spec={"shape": SHAPE})
    assert caught.value.hint == "copy or download it again"


def test_code_in_a_file_is_not_run(folder: Path) -> None:
    path = folder / "code.pt"
    torch.save({**make().state_dict(), "more": SimpleNamespace(a=1)}, path)
    with pytest.raises(dtool.DtoolError, match="would run code that weights do not need") as caught:
        dtool.load(path, spec={"shape": SHAPE})
    assert "torch.save(network.state_dict(), 'weights.pt')" in caught.value.hint


def test_without_the_package(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "denoising_diffusion_pytorch", None)
    with pytest.raises(dtool.DtoolError, match="denoising_diffusion_pytorch is needed to build the U-Net") as caught:
        dtool.load(checkpoint, spec={"shape": SHAPE})
    assert caught.value.hint == "pip install denoising-diffusion-pytorch"


def test_other_files_are_not_taken_for_one(folder: Path) -> None:
    torch.save({"model": {"init_conv.weight": torch.zeros(1)}}, folder / "other.pt")
    (folder / "text.pt").write_text("nothing")
    assert not any(denoising_diffusion_pytorch.recognises(folder / name) for name in ("other.pt", "text.pt", "none.pt"))
    assert not denoising_diffusion_pytorch.recognises(folder)
    assert not denoising_diffusion_pytorch.recognises(object())
