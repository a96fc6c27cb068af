"""State dicts of guided-diffusion against OpenAI's own code, where it is installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import dtool
from dtool.models.readers.adm import adm
from tests.support.origin_packages import Draws, import_origin, relative_difference

SHAPE = (3, 16, 16)
FLAGS: dict[str, Any] = {
    "image_size": 16, "num_channels": 32, "num_res_blocks": 1, "channel_mult": "1,2", "attention_resolutions": "8",
    "num_heads": 4, "num_head_channels": 16, "num_heads_upsample": -1, "learn_sigma": True, "class_cond": False,
    "resblock_updown": True, "use_scale_shift_norm": True, "use_new_attention_order": False, "use_fp16": False,
    "dropout": 0.1, "use_checkpoint": False, "diffusion_steps": 100, "noise_schedule": "cosine",
    "timestep_respacing": "", "use_kl": False, "predict_xstart": False, "rescale_timesteps": False,
    "rescale_learned_sigmas": False,
}  # fmt: skip


def make(flags: dict[str, Any], respacing: str = "") -> tuple[Any, Any]:
    """OpenAI's own network, with random weights where they are zeros, and its diffusion."""
    script = import_origin("guided_diffusion.script_util")
    torch.manual_seed(0)
    network, diffusion = script.create_model_and_diffusion(**{**flags, "timestep_respacing": respacing})
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    return network.eval(), diffusion


def write(path: Path, network: Any, flags: Any) -> Path:
    torch.save(network.state_dict(), path)
    if flags is not None:
        path.with_name(path.name + ".json").write_text(json.dumps(flags))
    return path


@pytest.fixture(autouse=True)
def _azula() -> None:
    import_origin("azula.plugins.adm")


@pytest.mark.parametrize("steps", [10, 50])
@pytest.mark.parametrize(
    "change",
    [
        {}, {"class_cond": True, "resblock_updown": False, "noise_schedule": "linear", "num_head_channels": -1},
        {"learn_sigma": False, "rescale_timesteps": True, "use_new_attention_order": True},
    ],
    ids=["learned variance", "classes", "fixed variance"],
)  # fmt: skip
def test_ancestral_sampling_is_the_origins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], steps: int
) -> None:
    flags = {**FLAGS, **change}
    network, diffusion = make(flags, str(steps))
    own = dtool.load(write(tmp_path / "64x64_diffusion.pt", network, flags), device="cpu")
    draws, labels = Draws((2, *SHAPE), steps), [3, 999] if flags["class_cond"] else None
    with monkeypatch.context() as patch:
        patch.setattr(torch, "randn_like", Draws((2, *SHAPE), steps, seed=1))
        given = {"y": torch.tensor(labels)} if labels else {}
        theirs = diffusion.p_sample_loop(
            network, (2, *SHAPE), noise=draws.start, model_kwargs=given, device="cpu", clip_denoised=True
        )
    noise = Draws((2, *SHAPE), steps, seed=1).arrays
    plan = dtool.plan(own.origin.recipe, network=own, steps=steps)
    mine = dtool.sample(own, plan, x=draws.start, noise=noise[: plan.draws], labels=labels)
    assert relative_difference(mine.x0, theirs) < 1e-4


@pytest.mark.parametrize("steps", [10, 50])
def test_ddim_is_the_origins(tmp_path: Path, steps: int) -> None:
    network, diffusion = make(FLAGS, f"ddim{steps}")
    own = dtool.load(write(tmp_path / "net.pt", network, FLAGS), device="cpu")
    start = Draws((2, *SHAPE), 0).start
    theirs = diffusion.ddim_sample_loop(network, (2, *SHAPE), noise=start, device="cpu", clip_denoised=False)
    mine = dtool.sample(own, f"ddim/sections:counts=ddim{steps}", steps=steps, x=start, clip=False)
    assert relative_difference(mine.x0, theirs) < 1e-4


@pytest.mark.parametrize(
    "change",
    [
        {"channel_mult": "1,1,2", "num_res_blocks": 2, "attention_resolutions": "16,4"}, {"channel_mult": "2"},
        {"use_scale_shift_norm": False, "attention_resolutions": "4", "predict_xstart": True},
        {"channel_mult": "1,3", "num_heads_upsample": 2, "num_head_channels": -1},
    ],
)  # fmt: skip
def test_the_unet_follows_from_its_weights(tmp_path: Path, change: dict[str, Any]) -> None:
    flags = {**FLAGS, **change}
    network, _ = make(flags)
    own = dtool.load(write(tmp_path / "net.pt", network, flags), device="cpu")
    x, t = torch.randn(1, *SHAPE), torch.tensor([30.0])
    with torch.no_grad():
        assert relative_difference(own.predict(x, t), network(x, t)) < 1e-5
    assert own.prediction == ("x0" if flags["predict_xstart"] else "eps")


def test_a_network_for_classes_has_no_class_that_means_none(tmp_path: Path) -> None:
    flags = {**FLAGS, "class_cond": True}
    own = dtool.load(write(tmp_path / "net.pt", make(flags)[0], flags), device="cpu")
    assert (own.classes, own.spec.guidable, own.spec.learned_variance) == (1000, False, True)
    assert own.origin.what == "a U-Net of OpenAI's guided-diffusion, for 1000 classes, learned variance"
    with pytest.raises(dtool.errors.UsageError):
        dtool.sample(own, "ddim", steps=2, n=1, guidance=3)


def test_what_the_flags_do_not_say_is_the_scripts_default(tmp_path: Path) -> None:
    network, _ = make({**FLAGS, "num_head_channels": -1, "noise_schedule": "linear", "diffusion_steps": 1000})
    own = dtool.load(write(tmp_path / "net.pt", network, {"image_size": 16}), device="cpu")
    assert own.schedule.token == "linear"
    assert "num_heads is not in net.pt.json: 4, the script's default" in own.origin.assumptions


def test_without_flags(tmp_path: Path) -> None:
    path = write(tmp_path / "net.pt", make(FLAGS)[0], None)
    with pytest.raises(
        dtool.errors.UsageError, match="do not show image_size, num_heads or num_head_channels"
    ) as caught:
        dtool.load(path)
    assert "write the flags that it was trained with to net.pt.json" in caught.value.hint


@pytest.mark.parametrize(
    ("change", "cause", "remedy"),
    [
        ({"num_channels": 64}, "num_channels is 64, and the weights are of a network with 32", "leave out what"),
        ({"learn_sigma": False}, "learn_sigma is False, and the weights", "leave out what"),
        ({"class_cond": True}, "class_cond is True, and the weights", "leave out what"),
        ({"resblock_updown": False}, "resblock_updown is False", "leave out what"),
        ({"attention_resolutions": "16,8"}, "attention_resolutions is 8,16, and the weights .* with 8", "leave"),
        ({"attention_resolutions": "a"}, "attention_resolutions is no list of numbers", "write it as 32,16,8"),
        ({"channel_mult": "1,3"}, "channel_mult is 1,3, and the weights are of a network with 1,2", "leave out what"),
        ({"num_heads": "4"}, "num_heads: ", "mend the flag"),
        ({"num_head_channels": 24}, "num_head_channels=24 does not divide the channels", "mend the flags"),
        ({"noise_schedule": "sqrt"}, "noise_schedule: ", "mend the flag"),
        ({"image_size": 15, "attention_resolutions": "7"}, "sizes that 2 divides; got shape=", "say --shape 3,15,15"),
    ],
)  # fmt: skip
def test_flags_of_another_network(tmp_path: Path, change: dict[str, Any], cause: str, remedy: str) -> None:
    path = write(tmp_path / "net.pt", make(FLAGS)[0], {**FLAGS, **change})
    with pytest.raises(dtool.DtoolError, match=cause) as caught:
        dtool.load(path)
    assert remedy in caught.value.hint


@pytest.mark.parametrize(
    ("name", "value", "cause"),
    [
        ("middle_block.0.in_layers.2.bias", None, "the state dict lacks middle_block.0.in_layers.2.bias"),
        ("more", torch.zeros(1), "the state dict has an unknown more"),
        ("out.2.bias", torch.zeros(3), r"has out.2.bias of shape \(3,\), not \(6,\)"),
        ("out.2.weight", torch.zeros(5, 32, 3, 3), "the U-Net makes 5 channels of 3"),
        ("output_blocks.1.2.in_layers.2.weight", None, "num_res_blocks is 1, and the weights are of a network with 3"),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit(tmp_path: Path, name: str, value: Any, cause: str) -> None:
    path = write(tmp_path / "net.pt", make(FLAGS)[0], FLAGS)
    state = {k: v for k, v in torch.load(path, weights_only=True).items() if k != name}
    torch.save(state if value is None else {**state, name: value}, path)
    with pytest.raises(dtool.DtoolError, match=cause) as caught:
        dtool.load(path)
    assert caught.value.hint


def test_other_files_are_not_taken_for_one(tmp_path: Path) -> None:
    torch.save({"model.diffusion_model.time_embed.0.weight": torch.zeros(1)}, tmp_path / "sd.pt")
    assert not adm.recognises(tmp_path / "sd.pt")


def test_a_rescaled_network_with_classes_is_exported(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    flags = {**FLAGS, "class_cond": True, "rescale_timesteps": True, "diffusion_steps": 50}
    own = dtool.load(write(tmp_path / "net.pt", make(flags)[0], flags), device="cpu")
    dtool.export(own, tmp_path / "net.onnx", check=False)
    exported = dtool.load(tmp_path / "net.onnx", device="cpu")
    x, t, label = Draws((2, *SHAPE), 0).start, torch.tensor([3.0, 40.0]), torch.tensor([3, 999])
    theirs = exported.predict(x.numpy(), t.numpy(), label.numpy())
    torch.testing.assert_close(own.predict(x, t, label), torch.from_numpy(theirs), rtol=1e-4, atol=1e-4)
