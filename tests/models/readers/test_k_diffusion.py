"""Networks of k-diffusion against its own preconditioner and its own loop."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import dtool
from dtool.models.readers.k_diffusion import k_diffusion
from dtool.models.readers.package_parts import import_part
from tests.parity.k_diffusion_side import sampling
from tests.support.origin_packages import Draws, ensure_torchvision, relative_difference

SHAPE = (1, 8, 8)
MODEL: dict[str, Any] = {
    "type": "image_v1", "input_channels": 1, "input_size": [8, 8], "mapping_out": 16, "depths": [1, 1],
    "channels": [32, 32], "self_attn_depths": [False, True], "sigma_data": 0.6, "sigma_min": 0.01, "sigma_max": 40,
    "has_variance": True, "augment_prob": 0.12,
}  # fmt: skip


def import_origin_part(name: str) -> Any:
    ensure_torchvision()
    try:
        return import_part("k_diffusion", name, "k-diffusion", "test")
    except dtool.DtoolError as error:
        pytest.skip(str(error))


def make(model: dict[str, Any]) -> Any:
    """The network with random weights: k-diffusion's own begin with zeros."""
    torch.manual_seed(0)
    network = import_origin_part("models.image_v1").ImageDenoiserModelV1(
        model["input_channels"], model["mapping_out"], model["depths"], model["channels"], model["self_attn_depths"],
        mapping_cond_dim=9 if model.get("augment_wrapper", True) else 0, has_variance=model.get("has_variance", False),
        patch_size=model.get("patch_size", 1), skip_stages=model.get("skip_stages", 0),
    )  # fmt: skip
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return network.eval()


def write(path: Path, network: Any, model: Any, prefix: str = "inner_model.", **more: Any) -> Path:
    """What its train.py saves, and the configuration beside it."""
    state = {prefix + name: value for name, value in network.state_dict().items()}
    wrong = {name: torch.zeros_like(value) for name, value in state.items()}
    torch.save({"model": wrong, "model_ema": state, "opt": {"state": {}}, "step": 7, "epoch": 1, **more}, path)
    if model is not None:
        path.with_name(path.name + ".json").write_text(json.dumps({"model": model, "dataset": {"type": "imagefolder"}}))
    return path


@pytest.fixture(scope="module")
def network() -> Any:
    return make(MODEL)


@pytest.fixture
def checkpoint(tmp_path: Path, network: Any) -> Path:
    return write(tmp_path / "model_00000007.pth", network, MODEL)


@pytest.mark.parametrize("steps", [10, 50])
def test_euler_is_the_origins(checkpoint: Path, network: Any, steps: int) -> None:
    own = dtool.load(checkpoint, device="cpu")
    assert own.spec.time == "sigma"
    assert own.prediction == "edm:sigma_data=0.6"
    denoiser = import_origin_part("layers").Denoiser(network, sigma_data=0.6)
    sigmas = sampling().get_sigmas_karras(steps, 0.01, 40.0)
    start = Draws((2, *SHAPE), 0).start
    with torch.no_grad():
        theirs = sampling().sample_euler(denoiser, start * sigmas[0], sigmas, disable=True)
    mine = dtool.sample(own, own.origin.recipe, steps=steps, x=start * sigmas[0])
    assert relative_difference(mine.x0, theirs) < 1e-4


@pytest.mark.parametrize("steps", [10, 50])
def test_ancestral_steps_are_the_origins(checkpoint: Path, network: Any, steps: int) -> None:
    own = dtool.load(checkpoint, device="cpu")
    denoiser = import_origin_part("layers").Denoiser(network, sigma_data=0.6)
    sigmas, draws = sampling().get_sigmas_karras(steps, 0.01, 40.0), Draws((2, *SHAPE), steps)
    plan = dtool.plan("euler-ancestral/karras", network=own, steps=steps)
    left = iter(draws.noise)
    with torch.no_grad():
        theirs = sampling().sample_euler_ancestral(
            denoiser, draws.start * sigmas[0], sigmas, disable=True, noise_sampler=lambda *_: next(left)
        )
    mine = dtool.sample(own, plan, x=draws.start * sigmas[0], noise=draws.noise[: plan.draws])
    assert relative_difference(mine.x0, theirs) < 1e-4


def test_the_wrapper_for_augmentation_changes_nothing(network: Any, checkpoint: Path) -> None:
    wrapper = import_origin_part("augmentation").KarrasAugmentWrapper(network)
    x, sigma = torch.randn(2, *SHAPE), torch.tensor([0.5, 3.0])
    with torch.no_grad():
        theirs = wrapper(x, sigma)
    assert torch.equal(dtool.load(checkpoint, device="cpu").predict(x, sigma), theirs)


@pytest.mark.parametrize("prefix", ["", "inner_model.", "inner_model.inner_model."])
@pytest.mark.parametrize("embedded", [False, True])
def test_where_weights_and_configuration_may_lie(tmp_path: Path, network: Any, prefix: str, embedded: bool) -> None:
    path = write(
        tmp_path / "net.pth",
        network,
        None if embedded else MODEL,
        prefix,
        **({"config": {"model": MODEL}} if embedded else {}),
    )
    x, sigma = torch.randn(1, *SHAPE), torch.tensor([0.5])
    with torch.no_grad():
        theirs = network(x, sigma)
    assert torch.equal(dtool.load(path, device="cpu").predict(x, sigma), theirs)
    if not embedded:
        assert k_diffusion.recognises(tmp_path / "net.pth.json")
        assert torch.equal(dtool.load(tmp_path / "net.pth.json", device="cpu").predict(x, sigma), theirs)


def test_what_convert_for_inference_writes(tmp_path: Path, network: Any) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    path = tmp_path / "net.safetensors"
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    safetensors.save_file(state, path, metadata={"config": json.dumps({"model": MODEL})})
    own = dtool.load(path, device="cpu")
    assert own.origin.what == "an image_v1 network of k-diffusion, one set of weights"
    assert own.shape == SHAPE


@pytest.mark.parametrize(
    "change", [{"patch_size": 2, "has_variance": False}, {"skip_stages": 1}, {"augment_wrapper": False}]
)
def test_other_configurations(tmp_path: Path, change: dict[str, Any]) -> None:
    model = {**MODEL, **change}
    made = make(model)
    own = dtool.load(write(tmp_path / "net.pth", made, model), device="cpu")
    x, sigma = torch.randn(1, *SHAPE), torch.tensor([2.0])
    with torch.no_grad():
        assert torch.equal(own.predict(x, sigma), made(x, sigma))


@pytest.mark.parametrize(
    ("change", "cause", "remedy"),
    [
        ({"type": "image_transformer_v1"}, "networks of type 'image_transformer_v1' are not read", "package.module"),
        ({"mapping_out": "16"}, "the configuration is not valid .model.mapping_out: ", "mend it"),
        ({"depths": [1, 10**9]}, "the configuration is not valid .model.depths.1: ", "mend it"),
        ({"channels": [32] * 10**4}, "the configuration is not valid .model.channels: ", "mend it"),
        ({"sigma_data": 0}, "the configuration is not valid .model.sigma_data: ", "mend it"),
        ({"sigma_min": 90}, "sigma_min is not below sigma_max", "mend it"),
        ({"depths": [1]}, "depths, channels and self_attn_depths are not of one length", "mend it"),
        ({"cross_cond_dim": 8}, "the network takes conditions of its own", "package.module"),
        ({"channels": [32, 64]}, "is of another network", "give the configuration that it was trained with"),
        ({"has_variance": False}, r"has proj_out.bias of shape \(2,\), not \(1,\),", "give the configuration"),
        ({"depths": [1, 2]}, "the state dict lacks u_net", "give the configuration"),
    ],
)  # fmt: skip
def test_a_configuration_of_another_network(
    tmp_path: Path, network: Any, change: dict[str, Any], cause: str, remedy: str
) -> None:
    path = write(tmp_path / "net.pth", network, {**MODEL, **change})
    with pytest.raises(dtool.DtoolError, match=cause) as caught:
        dtool.load(path)
    assert remedy in caught.value.hint


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("[" * 100_000, "is no JSON: it is nested too deeply"),
        ("{}", "says nothing of a model"),
        ("[1]", "is no JSON object"),
        ("{", "is no JSON"),
    ],
)
def test_a_configuration_that_is_none(tmp_path: Path, network: Any, text: str, cause: str) -> None:
    path = write(tmp_path / "net.pth", network, None)
    path.with_name("net.pth.json").write_text(text)
    with pytest.raises(dtool.DtoolError, match=cause) as caught:
        dtool.load(path)
    assert caught.value.hint


def test_without_a_configuration(tmp_path: Path, network: Any) -> None:
    path = write(tmp_path / "net.pth", network, None)
    with pytest.raises(dtool.DtoolError, match="without its configuration") as caught:
        dtool.load(path)
    assert caught.value.hint == "put the JSON that it was trained with beside it, as net.pth.json"


def test_words_that_it_says_itself(checkpoint: Path) -> None:
    with pytest.raises(dtool.errors.UsageError, match="says its prediction itself") as caught:
        dtool.load(checkpoint, spec={"prediction": "x0"})
    assert caught.value.hint == "leave out --prediction (spec=)"


def test_without_the_package(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(dtool.DtoolError, match="k_diffusion is needed to build the network") as caught:
        k_diffusion.open(checkpoint, dtool.models.description.UNDESCRIBED, dtool.Runtime(device="cpu"))
    assert caught.value.hint == "pip install k-diffusion"
