"""Networks that run on PyTorch: modules of other libraries, devices, and guidance."""

from types import SimpleNamespace

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from dtool.models.conditions import Condition
from tests.support.commandline import failed, ran


def test_a_module_of_diffusers_simply_works(folder):
    diffusers = pytest.importorskip("diffusers")
    block = {"block_out_channels": (8,), "layers_per_block": 1, "norm_num_groups": 4}
    module = diffusers.UNet2DModel(
        sample_size=8, in_channels=1, out_channels=1, down_block_types=("DownBlock2D",),
        up_block_types=("UpBlock2D",), num_class_embeds=3, **block,
    ).eval()  # fmt: skip
    net = dtool.network(module, shape=(1, 8, 8), classes=2)
    assert np.isfinite(dtool.sample(net, "ddim", n=2, steps=2, guidance=2).x0).all()


@pytest.mark.parametrize("device", ["meta", "xla", "cpu:3", "CUDA", "", "cuda:x", "cpu "])
def test_devices_that_are_none(device, capsys):
    torch = pytest.importorskip("torch")
    with pytest.raises(UsageError, match="there is no device"):
        dtool.network(torch.nn.Identity(), shape=(2,), device=device)
    failed(ran(capsys, "sample", "--device", device, "-n", "1"), 2, "there is no device", "auto, cpu or cuda")


def test_a_module_that_was_being_trained_samples_without_dropout():
    torch = pytest.importorskip("torch")

    class Noisy(torch.nn.Module):
        def forward(self, x, t):
            return torch.nn.functional.dropout(0.5 * x, 0.5, self.training)

    net = dtool.network(Noisy().train(), shape=(2,))
    plain = dtool.network(lambda x, t: 0.5 * x, shape=(2,))
    images = dtool.sample(net, "ddim", n=3, steps=4).x0
    assert images == pytest.approx(dtool.sample(plain, "ddim", n=3, steps=4).x0, abs=1e-5)


@pytest.mark.parametrize(
    "wrap", [lambda y: y, lambda y: (y, None), lambda y: [y], lambda y: SimpleNamespace(sample=y)],
    ids=["a tensor", "a tuple", "a list", "an object with .sample"],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["module", "function"])
def test_what_a_module_or_a_function_may_return(wrap, kind):
    torch = pytest.importorskip("torch")

    class Wrapped(torch.nn.Module):
        def forward(self, x, t, label, *, width):
            return wrap(0.1 * x + 0.01 * label[:, None] + width[:, None])

    spec = dtool.NetworkSpec(
        shape=(2,), schedule="cosine", classes=3, conditions=(Condition(name="width", shape=(), null=0),)
    )
    module = Wrapped()
    source = module if kind == "module" else lambda *arguments, **more: module(*arguments, **more)
    net = dtool.load(source, spec=spec, device="cpu")
    label, width = torch.tensor([0, 2]), torch.tensor([0.5, 0.25])
    output = net.predict(torch.ones(2, 2), torch.zeros(2), {"label": label, "width": width})
    assert output.tolist() == [pytest.approx([0.6, 0.6]), pytest.approx([0.37, 0.37])]
