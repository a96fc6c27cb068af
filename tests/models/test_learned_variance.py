"""A network that predicts a variance too: twice the channels, on every backend, with every sampler."""

import numpy as np
import pytest

import dtool
from dtool.certify.closed_form_network import closed_form_with_variance, make_onnx
from dtool.errors import DtoolError, UsageError
from dtool.plan import plan

SHAPE = (4, 16, 16)


def prediction(x, t, label=None):
    level = t.reshape(-1, *[1] * (x.ndim - 1)) / 1000
    shift = 0 if label is None else 0.1 * label.reshape(-1, *[1] * (x.ndim - 1))
    return 0.4 * x * (0.3 + level) + 0.2 * np.sin(x) + shift


def share(x, t):
    """v, the second half: somewhere between -1 and 1, and another for each number."""
    return np.cos(3 * x + 0.01 * t.reshape(-1, *[1] * (x.ndim - 1)))


def both(x, t, label=None):
    parts = (prediction(x, t),) if label is None else (prediction(x, t, label),)
    return np.concatenate([*parts, share(x, t)], axis=1)


@pytest.fixture
def net():
    return dtool.network(both, shape=(3, 2), prediction="v", learned_variance=True)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("clip", [False, True])
def test_a_run_against_the_formula(net, seed, clip):
    """Each step by hand, in float64, number by number."""
    made = plan("ddpm:sigma=learned", steps=7, network=net)
    rng = np.random.default_rng(seed)
    x, z = rng.standard_normal((5, 3, 2)), rng.standard_normal((7, 5, 3, 2))
    out = dtool.sample(net, made, x=x, noise=z, clip=clip).x0
    for i in range(made.rows):
        alpha, sigma = made.alpha[i], made.sigma[i]
        t = np.full(5, made.time[i])
        image = alpha * x - sigma * prediction(x, t)
        if clip:
            image = image.clip(-1, 1)
        f = (share(x, t) + 1) / 2
        std = 0.0
        if made.c[i]:
            std = np.exp(f * np.log(made.c[i]) + (1 - f) * np.log(made.c_low[i]))
        x = made.a[i] * x + made.b[i, 0] * image + std * z[i]
    assert out == pytest.approx(x, abs=1e-12)


@pytest.mark.parametrize(("v", "token"), [(1.0, "ddpm:sigma=beta"), (-1.0, "ddpm:sigma=tilde")])
def test_the_ends_of_the_range_are_beta_and_tilde(v, token):
    fixed = dtool.network(
        lambda x, t: np.concatenate([prediction(x, t), np.full_like(x, v)], axis=1),
        shape=(2,), prediction="v", learned_variance=True,
    )  # fmt: skip
    plain = dtool.network(prediction, shape=(2,), prediction="v")
    one = dtool.sample(fixed, "ddpm:sigma=learned", steps=9, n=4, seed=2).x0
    assert one == pytest.approx(dtool.sample(plain, token, steps=9, n=4, seed=2).x0, abs=2e-5)


@pytest.mark.parametrize("token", ["ddpm", "ddim", "dpmpp-2m", "heun"])
def test_other_samplers_ignore_the_second_half(net, token):
    plain = dtool.network(prediction, shape=(3, 2), prediction="v")
    runs = [dtool.sample(network, token, steps=6, n=3, seed=4, clip=True).x0 for network in (net, plain)]
    np.testing.assert_array_equal(*runs)


def test_guidance_acts_on_the_prediction_only():
    conditional = dtool.network(both, shape=(3, 2), prediction="v", classes=4, learned_variance=True)
    guided = dtool.network(
        lambda x, t: np.concatenate(
            [prediction(x, t, 4 * one(x)) + 2.5 * (prediction(x, t, 2 * one(x)) - prediction(x, t, 4 * one(x))),
             share(x, t)], axis=1),
        shape=(3, 2), prediction="v", learned_variance=True,
    )  # fmt: skip
    made = plan("ddpm:sigma=learned", steps=5, network=guided)
    one_run = dtool.sample(conditional, made, n=3, seed=1, labels=2, guidance=2.5).x0
    assert one_run == pytest.approx(dtool.sample(guided, made, n=3, seed=1).x0, abs=1e-5)


def one(x):
    return np.ones(len(x))


def test_every_backend_agrees(tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    on_numpy = dtool.network(closed_form_with_variance, shape=SHAPE, prediction="v", learned_variance=True)
    on_torch = dtool.network(
        closed_form_with_variance, shape=SHAPE, prediction="v", learned_variance=True, backend="torch"
    )
    path = tmp_path / "doubled.onnx"
    path.write_bytes(make_onnx(twice=True))
    on_onnx = dtool.load(path, device="cpu", spec=on_numpy.spec)
    runs = [dtool.sample(n, "ddpm:sigma=learned", steps=8, n=3, seed=6).x0 for n in (on_numpy, on_torch, on_onnx)]
    assert runs[1] == pytest.approx(runs[0], abs=1e-4)
    assert runs[2] == pytest.approx(runs[0], abs=1e-4)
    with torch.inference_mode():
        given = dtool.sample(
            on_numpy, "ddpm:sigma=learned", steps=8, x=torch.ones(2, *SHAPE), noise=torch.ones(8, 2, *SHAPE)
        )
    assert type(given.x0) is torch.Tensor


def test_the_image_does_not_depend_on_the_batch(net):
    together = dtool.sample(net, "ddpm:sigma=learned", steps=5, n=9, seed=3).x0
    alone = dtool.sample(net, "ddpm:sigma=learned", steps=5, ids=[7], seed=3).x0
    np.testing.assert_array_equal(alone[0], together[7])


def test_a_network_without_a_variance_is_refused():
    plain = dtool.network(prediction, shape=(2,), prediction="v")
    with pytest.raises(UsageError, match="takes the variance of its noise from the network") as error:
        dtool.sample(plain, "ddpm:sigma=learned", steps=5)
    assert "sigma=tilde" in (error.value.hint or "")
    assert dtool.sample(plain, "ddpm:sigma=learned", steps=1).x0.shape == (16, 2), "one step adds no noise"


@pytest.mark.parametrize(
    ("fn", "learned", "hint"),
    [(both, False, "learned_variance=True"), (prediction, True, "twice the channels of x")],
)
def test_a_shape_that_does_not_fit_is_named(fn, learned, hint):
    wrong = dtool.network(fn, shape=(2,), prediction="v", learned_variance=learned)
    with pytest.raises(DtoolError, match="returned shape") as error:
        dtool.sample(wrong, "ddim", steps=2)
    assert hint in (error.value.hint or "")


def test_export_takes_such_a_network(tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")

    class Twice(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.tensor(0.7))

        def forward(self, x, t):
            return torch.cat([self.weight * x, torch.tanh(x + 0.001 * t.reshape(-1, 1))], dim=1)

    spec = dtool.NetworkSpec(shape=(3,), schedule="linear", prediction="v", learned_variance=True)
    network = dtool.load(Twice(), spec=spec, device="cpu")
    dtool.export(network, tmp_path / "twice.onnx")
    again = dtool.load(tmp_path / "twice.onnx", device="cpu")
    assert again.spec.learned_variance
    runs = [dtool.sample(n, "ddpm:sigma=learned", steps=6, n=2, seed=0).x0 for n in (network, again)]
    assert runs[0] == pytest.approx(runs[1], abs=1e-5)
