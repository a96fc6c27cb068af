"""Networks that fill a picture themselves are told the picture and the mask, as conditions of these names would say."""

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from dtool.models.filling import fills_pictures, tell_edit
from tests.support.commandline import ran

SHAPE = (3, 8, 12)
KNOWN, MASK = {"name": "known", "shape": SHAPE}, {"name": "mask", "shape": (1, *SHAPE[1:])}


@pytest.fixture
def image():
    return np.random.default_rng(0).uniform(-1, 1, SHAPE).astype(np.float32)


@pytest.fixture
def drawn():
    mask = np.zeros((1, *SHAPE[1:]), np.float32)
    mask[:, :, :7] = 1
    return mask


def make_network(*conditions, **fields):
    def fn(x, t, **told):
        return 0.2 * x + (np.where(told["mask"] > 0, 0, told["known"]) if told else 0)

    return dtool.network(fn, shape=SHAPE, conditions=conditions, **fields)


def test_which_networks_do():
    assert fills_pictures(make_network(KNOWN, MASK))
    for others in ((), (KNOWN,), (KNOWN, {**MASK, "shape": SHAPE}), ({**KNOWN, "shape": (3, 4, 6)}, MASK)):
        assert not fills_pictures(make_network(*others))


@pytest.mark.parametrize("low", [-1.0, 0.0])
def test_it_is_told_both_in_the_range_of_its_training(low, image, drawn):
    """Of any range of its data: what is told lies in -1 … 1, and nothing is put back."""
    network = make_network(KNOWN, MASK, data_range=(low, 1.0))
    given = (image + 1) / 2 * (1 - low) + low
    told = tell_edit(network, given[None], drawn[None] > 0, {"level": 1})
    np.testing.assert_allclose(told["known"], image[None], atol=1e-6)
    assert np.array_equal(told["mask"], 2 * drawn[None] - 1)
    assert told["level"] == 1
    edited = dtool.sample(network, "ddim", steps=4, n=2, image=given.clip(low, 1), mask=drawn)
    usual = dtool.sample(network, "ddim", steps=4, n=2, conditions={"known": image, "mask": 2 * drawn - 1})
    np.testing.assert_allclose(edited.x0, usual.x0, atol=1e-4)
    assert (edited.x0[0] != given)[:, drawn[0] == 0].any()


def test_it_may_begin_at_the_picture_too(image, drawn):
    network = make_network(KNOWN, MASK)
    edited = dtool.sample(network, "ddim", steps=10, n=2, image=image, mask=drawn, strength=0.5)
    told = {"known": image, "mask": 2 * drawn - 1}
    usual = dtool.sample(network, "ddim", steps=10, n=2, image=image, strength=0.5, conditions=told)
    assert edited.calls == 5
    assert np.array_equal(edited.x0, usual.x0)


def test_what_is_told_twice_is_refused(image, drawn):
    with pytest.raises(UsageError, match="told known by the mask and the image, and as a condition"):
        dtool.sample(make_network(KNOWN, MASK), "ddim", image=image, mask=drawn, conditions={"known": image})


def test_what_the_task_trains_and_what_is_exported_of_it(tmp_path, monkeypatch, capsys, image, drawn):
    """`--image` and `--mask` are `--condition known=` and `mask=`, for the checkpoint and for a sampler's file."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from PIL import Image

    from dtool.models.checkpoint import save
    from dtool.models.spec import NetworkSpec
    from dtool.models.unet import UNet, UNetConfig
    from dtool.training.tasks import Fill, describe_conditions

    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    task = Fill()
    config = UNetConfig(channels=3, width=8, multipliers=(1,), pictures=task.list_pictures(SHAPE))
    module = UNet(config)
    with torch.no_grad():
        for weight in module.parameters():  # some of a fresh network's are 0
            weight.add_(0.05 * torch.randn(weight.shape))
    spec = NetworkSpec(shape=SHAPE, schedule="linear", conditions=describe_conditions(task, SHAPE), clip=True)
    save("fill.pt", spec=spec, config=config, state_dict=module.state_dict())
    Image.fromarray(((image.transpose(1, 2, 0) + 1) * 127.5).round().astype(np.uint8)).save("photo.png")
    Image.fromarray((drawn[0] * 255).astype(np.uint8)).save("mask.png")
    assert (
        ran(capsys, "export", "fill.pt", "--recipe", "ddim", "--steps", "3", "--no-check", "-o", "app.onnx").code == 0
    )
    as_edit = ("--image", "photo.png", "--mask", "mask.png")
    as_conditions = ("--condition", "known=photo.png", "--condition", "mask=mask.png")
    made = []
    for model in ("fill.pt", "app.onnx"):
        steps = ("--sampler", "ddim", "--steps", "3") if model == "fill.pt" else ()
        for words in (as_edit, as_conditions):
            done = ran(capsys, "sample", model, *steps, "-n", "2", *words, "--npz", "x.npz", "-q")
            assert done.code == 0, done.err
            made.append(np.load("x.npz")["x0"])
    assert np.array_equal(made[0], made[1])
    assert np.array_equal(made[2], made[3])
    np.testing.assert_allclose(made[0], made[2], atol=1e-4)
