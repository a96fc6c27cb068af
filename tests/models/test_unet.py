"""The U-Net: any size in, the same size out; conditional where it should be; exportable."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from dtool.errors import UsageError  # noqa: E402
from dtool.models.unet import UNet, UNetConfig  # noqa: E402


def randomised(config: UNetConfig, seed: int = 0) -> UNet:
    """A network whose zero-initialised layers are not zero, so that every input matters."""
    torch.manual_seed(seed)
    network = UNet(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network


def small(channels: int = 1, **settings: object) -> UNetConfig:
    return UNetConfig(channels=channels, **{"width": 8, "multipliers": (1, 2), "attention": (1,), **settings})


def inputs(shape: tuple[int, ...], batch: int = 3, classes: int = 0) -> tuple[torch.Tensor, ...]:
    g = torch.Generator().manual_seed(1)
    x, t = torch.randn((batch, *shape), generator=g), torch.rand(batch, generator=g) * 999
    return (x, t, torch.randint(classes + 1, (batch,), generator=g)) if classes else (x, t)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 8, 8), (1, 8, 1), (2, 13, 27), (3, 1, 1), (5, 30, 17)])
def test_any_shape_comes_out_as_it_went_in(shape: tuple[int, ...]) -> None:
    network = UNet(UNetConfig.for_shape(shape, width=8))
    assert network(*inputs(shape)).shape == (3, *shape)


@pytest.mark.parametrize("patch", [2, 3])
@pytest.mark.parametrize("shape", [(1, 28, 28), (2, 9, 7)])
def test_patches_keep_every_pixel_apart(patch: int, shape: tuple[int, ...]) -> None:
    network = randomised(small(shape[0], patch=patch))
    x, t = inputs(shape, batch=1)
    out = network(x, t)
    assert out.shape == x.shape
    changed = x.clone()
    changed[0, 0, -1, -1] += 1  # the last pixel: the first to be lost when padding is wrong
    assert (network(changed, t) - out).abs().max() > 1e-4


def test_answers_zero_before_training() -> None:
    network = UNet(small(classes=4))
    assert network(*inputs((1, 8, 8), classes=4)).abs().max() == 0


def test_every_parameter_is_used() -> None:
    network = randomised(small(classes=4, blocks=2, attention=(0, 1)))
    network(*inputs((1, 12, 12), classes=4)).square().sum().backward()
    unused = [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    assert unused == []


def test_images_of_a_batch_do_not_see_each_other() -> None:
    network = randomised(small(classes=4))
    x, t, label = inputs((1, 12, 12), batch=4, classes=4)
    together = network(x, t, label)
    for i in range(4):
        alone = network(x[i : i + 1], t[i : i + 1], label[i : i + 1])
        torch.testing.assert_close(alone, together[i : i + 1], rtol=1e-4, atol=1e-5)


def test_depends_on_fractional_time_and_on_the_label() -> None:
    network = randomised(small(classes=4))
    x, t, label = inputs((1, 12, 12), classes=4)
    out = network(x, t, label)
    assert (network(x, t + 0.5, label) - out).abs().max() > 1e-5
    for other in range(5):  # 4 is "no class"
        assert (
            torch.equal(network(x, t, torch.full_like(label, other))[label == other], out[label == other])
            or (label != other).all()
        )
        assert (network(x, t, torch.full_like(label, other)) - out)[label != other].abs().max() > 1e-4


def test_config_survives_json() -> None:
    config = UNetConfig.for_shape((3, 64, 56), classes=7)
    assert UNetConfig.model_validate_json(config.model_dump_json()) == config
    assert UNet(config).config.multipliers == (1, 2, 4, 4)


@pytest.mark.parametrize(
    ("settings", "says"),
    [({"width": 12}, "multiple of 8"), ({"attention": (2,)}, "outside 0 … 1"), ({"multipliers": (1, 0)}, "at least 1")],
)
def test_impossible_configurations_are_refused(settings: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        small(**settings)


def test_only_images_have_a_default() -> None:
    with pytest.raises(UsageError, match=r"\(2,\)"):
        UNetConfig.for_shape((2,))


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:# The axis name:UserWarning")
def test_exports_with_any_batch_size(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    network = randomised(small(2, classes=4))
    names = ["x", "t", "label"]
    torch.onnx.export(
        network,
        inputs((2, 9, 12), batch=2, classes=4),
        tmp_path / "unet.onnx",
        input_names=names,
        output_names=["y"],
        dynamo=True,
        opset_version=20,
        external_data=False,
        dynamic_shapes={name: {0: "batch"} for name in names},
        verbose=False,
    )
    session = onnxruntime.InferenceSession(tmp_path / "unet.onnx", providers=["CPUExecutionProvider"])
    for batch in (1, 2, 5):
        given = inputs((2, 9, 12), batch=batch, classes=4)
        (found,) = session.run(None, {name: value.numpy() for name, value in zip(names, given, strict=True)})
        np.testing.assert_allclose(found, network(*given).detach().numpy(), atol=2e-5, rtol=1e-4)
