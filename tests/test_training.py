"""Training: the loss has the right minimum, every step is reproducible, and no interruption changes the result."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")

import dtool  # noqa: E402
from dtool.cli.train import train  # noqa: E402
from dtool.errors import DtoolError, UsageError  # noqa: E402
from dtool.networks import checkpoint  # noqa: E402
from dtool.schedulers import schedule  # noqa: E402
from dtool.training import draw  # noqa: E402
from dtool.training.config import TrainConfig  # noqa: E402
from dtool.training.ema import EMA  # noqa: E402
from dtool.training.loop import Trainer  # noqa: E402
from dtool.training.loss import Loss, target, vlb_weights  # noqa: E402
from dtool.training.preview import grid  # noqa: E402
from dtool.training.session import Every, Session, start  # noqa: E402

PREDICTIONS = ["eps", "x0", "v"]


# --- the loss ----------------------------------------------------------------


@pytest.mark.parametrize("weighting", ["simple", "vlb"])
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_minimum_for_gaussian_data_is_the_conditional_mean(prediction: Any, weighting: Any) -> None:
    """For x0 ~ N(m, s²) the best answer is linear in x_t and known; the loss must be least exactly there."""
    m, s, count = 0.3, 0.5, 20_000
    made = schedule("cosine:T=5,max_beta=0.9")
    loss = Loss(made, prediction, weighting)
    g = torch.Generator().manual_seed(0)
    t = torch.arange(count) % made.T
    x0, eps = m + s * torch.randn(count, 1, generator=g), torch.randn(count, 1, generator=g)
    x = loss.noisy(x0, eps, t)
    line = torch.zeros(made.T, 2, requires_grad=True)
    optimizer = torch.optim.LBFGS([line], max_iter=200, line_search_fn="strong_wolfe", tolerance_grad=1e-9)

    def closure() -> Any:
        optimizer.zero_grad()
        value = loss(line[t, :1] * x + line[t, 1:], x0, eps, t)
        value.backward()
        return value

    optimizer.step(closure)
    found = line.detach().numpy()
    for i, (alpha, sigma) in enumerate(zip(made.alpha, made.sigma, strict=True)):
        variance = alpha**2 * s**2 + sigma**2
        best_eps = np.array([sigma / variance, -sigma * alpha * m / variance])
        best_x0 = np.array([alpha * s**2 / variance, m - alpha**2 * s**2 * m / variance])
        best = {"eps": best_eps, "x0": best_x0, "v": alpha * best_eps - sigma * best_x0}[prediction]
        np.testing.assert_allclose(found[i], best, atol=0.04)


def test_targets_say_the_same_thing() -> None:
    rng = np.random.default_rng(0)
    x0, eps = (torch.tensor(rng.normal(size=(4, 3))) for _ in range(2))
    alpha, sigma = torch.tensor(0.6), torch.tensor(0.8)
    x, v = alpha * x0 + sigma * eps, target("v", x0, eps, alpha, sigma)
    torch.testing.assert_close(alpha * x - sigma * v, target("x0", x0, eps, alpha, sigma))
    torch.testing.assert_close(sigma * x + alpha * v, target("eps", x0, eps, alpha, sigma))


@pytest.mark.parametrize("token", ["linear", "cosine", "cosine:T=20"])
def test_vlb_weights_are_the_divergence(token: str) -> None:
    """L_{t-1} with σ_t² = β_t, from Bayes' rule for Gaussians instead of the paper's algebra."""
    made = schedule(token)
    x0, wrong, x = 0.7, -0.2, 0.4
    for t in [0, 1, 2, made.T // 2, made.T - 1]:
        alpha, sigma = made.alpha[t], made.sigma[t]
        before, noise = (made.alpha[t - 1], made.sigma[t - 1]) if t else (1.0, 0.0)
        ratio, beta = alpha / before, 1 - (alpha / before) ** 2

        gain = noise**2 * ratio / (ratio**2 * noise**2 + beta)
        mean, other = (before * guess + gain * (x - ratio * before * guess) for guess in (x0, wrong))
        divergence = (mean - other) ** 2 / (2 * beta)
        error_eps = ((x - alpha * x0) / sigma) - ((x - alpha * wrong) / sigma)
        error_v = (alpha * x - x0) / sigma - (alpha * x - wrong) / sigma
        for prediction, error in (("x0", x0 - wrong), ("eps", error_eps), ("v", error_v)):
            assert vlb_weights(made, prediction)[t] * error**2 == pytest.approx(divergence, rel=1e-6)  # type: ignore[arg-type]


def test_vlb_weights_for_eps_are_equation_12() -> None:
    made = schedule("linear")
    beta, alpha_bar = made.betas, np.cumprod(1 - made.betas)
    np.testing.assert_allclose(vlb_weights(made, "eps"), beta**2 / (2 * beta * (1 - beta) * (1 - alpha_bar)), rtol=1e-6)


def test_pure_noise_can_not_be_learned_by_eps() -> None:
    made = schedule("linear:zero_snr=true")
    with pytest.raises(UsageError, match="pure noise") as caught:
        Loss(made, "eps")
    assert "--prediction v" in caught.value.hint
    for prediction in ("x0", "v"):
        assert np.isfinite(vlb_weights(made, prediction)).all()  # type: ignore[arg-type]


# --- what is drawn -------------------------------------------------------------


@pytest.mark.parametrize(("batch", "count"), [(4, 10), (5, 10), (25, 10), (3, 3)])
def test_every_epoch_visits_each_image_once(batch: int, count: int) -> None:
    order = torch.cat([draw.indices(7, step, batch, count) for step in range(12)])
    for epoch in order[: len(order) // count * count].reshape(-1, count):
        assert sorted(epoch.tolist()) == list(range(count))


def test_draws_are_functions_of_seed_and_step() -> None:
    def drawn(seed: int, step: int) -> draw.Draw:
        return draw.draw(seed, step, 64, 1000, (1, 8, 8), 100)

    first, again, later, other = drawn(1, 5), drawn(1, 5), drawn(1, 6), drawn(2, 5)
    for name in ("index", "t", "noise", "uniform"):
        assert torch.equal(getattr(first, name), getattr(again, name))
        assert not torch.equal(getattr(first, name), getattr(later, name))
        assert not torch.equal(getattr(first, name), getattr(other, name))


def test_draws_have_their_distributions() -> None:
    parts = [draw.draw(0, step, 256, 1000, (16,), 10) for step in range(40)]
    t, noise = torch.cat([p.t for p in parts]), torch.cat([p.noise for p in parts])
    assert (t.bincount(minlength=10) / len(t) - 0.1).abs().max() < 0.015
    assert abs(float(noise.mean())) < 0.01
    assert abs(float(noise.std()) - 1) < 0.01
    lag = (parts[0].noise * parts[1].noise).mean()
    assert abs(float(lag)) < 0.05


# --- the average and the learning rate -------------------------------------------


def test_ema_is_the_recursion() -> None:
    network = torch.nn.Linear(1, 1, bias=False)
    network.weight.data.fill_(1.0)
    ema, expected = EMA(network, 0.9), 1.0
    for step in range(200):
        network.weight.data.fill_(float(step % 7))
        ema.update(network, step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * (step % 7)
    assert float(ema.average["weight"]) == pytest.approx(expected, rel=1e-5)


def test_without_ema_the_average_is_the_network() -> None:
    network = torch.nn.Linear(3, 3)
    ema = EMA(network, 0.0)
    network.weight.data.add_(1)
    ema.update(network, 0)
    assert torch.equal(ema.average["weight"], network.weight)


def test_learning_rate() -> None:
    config = TrainConfig(steps=1000, lr=0.1, warmup=10)
    rates = [config.lr_at(step) for step in range(1000)]
    assert rates[0] == pytest.approx(0.1 / 11)
    assert max(rates) == pytest.approx(0.1, rel=1e-3)
    assert int(np.argmax(rates)) == 10
    assert rates[500] == pytest.approx(0.05)
    assert rates[-1] < 1e-6
    constant = TrainConfig(steps=50, lr=0.1, warmup=200, decay="constant")
    assert [constant.lr_at(step) == 0.1 for step in (4, 5, 49)] == [False, True, True]


# --- runs ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes: dark and bright images of 8x6 pixels."""
    rng = np.random.default_rng(0)
    labels = np.arange(64) % 2
    x = np.where(labels == 1, 200, 60)[:, None, None] + rng.integers(-40, 40, (64, 8, 6))
    path = tmp_path_factory.mktemp("data") / "two.npz"
    np.savez(path, x=x.astype(np.uint8), y=labels)
    return path


def session(data: Path, output: Path, **settings: Any) -> Session:
    """A small run that uses all that is random: label dropout, dropout in the network, an average, previews."""
    resume = settings.pop("resume", False)
    config = TrainConfig(**{"steps": 12, "batch_size": 10, "seed": 3, "label_dropout": 0.3, **settings})
    small = {"width": 8, "multipliers": (1, 2), "attention": (1,), "dropout": 0.2}
    more = {"resume": resume, "save_every": Every(steps=3), "preview_every": Every(steps=2)}
    return start(str(data), output, config, network=small, device="cpu", **more)


KILLED = """
import os, pathlib, signal, sys
sys.path.insert(0, {tests!r})
from test_training import session
for progress in session(pathlib.Path({data!r}), pathlib.Path({output!r})).run():
    if progress.step == 8:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def assert_same_content(a: Any, b: Any) -> None:
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same_content(a[key], b[key])
    elif isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    else:
        assert a == b


def test_killed_and_resumed_is_bit_for_bit_uninterrupted(data: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole.pt", tmp_path / "killed.pt"
    script = KILLED.format(tests=str(Path(__file__).parent), data=str(data), output=str(killed))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    training = checkpoint.read(killed).training
    assert training is not None
    assert training["step"] == 6
    for _ in session(data, whole).run():
        pass
    resumed = session(data, killed, resume=True)
    assert resumed.trainer.step == 6
    for _ in resumed.run():
        pass
    assert_same_content(torch.load(whole, weights_only=True), torch.load(killed, weights_only=True))


def test_looking_does_not_change_the_run(data: Path, tmp_path: Path) -> None:
    plain, watched = session(data, tmp_path / "a.pt", steps=4), session(data, tmp_path / "b.pt", steps=4)
    watched.preview = lambda network: network.requires_grad_(False).zero_grad()
    for _ in plain.run():
        pass
    for _ in watched.run():
        torch.rand(1)  # whoever else uses the global generator
    assert_same_content(plain.trainer.state(), watched.trainer.state())


def test_seeds_matter(data: Path, tmp_path: Path) -> None:
    a, b = (session(data, tmp_path / "a.pt", seed=seed, steps=1).trainer for seed in (0, 1))
    assert not torch.equal(a.network.first.weight, b.network.first.weight)


def test_it_learns_which_class_is_which(data: Path, tmp_path: Path) -> None:
    config = TrainConfig(steps=200, batch_size=16, lr=5e-3, ema=0.95, prediction="v", label_dropout=0.0)
    run = start(str(data), tmp_path / "m.pt", config, network={"width": 8, "multipliers": (1,)}, device="cpu")
    losses = [progress.loss for progress in run.run()]
    assert losses[-1] < 0.5 * losses[0]
    drawn = dtool.sample(dtool.load(run.network(), spec=run.spec, device="cpu"), "ddim", steps=20, n=16, seed=0)
    means = drawn.x0.mean(axis=(1, 2, 3)).reshape(8, 2).mean(axis=0)
    assert float(means[0]) == pytest.approx(60 / 127.5 - 1, abs=0.2)
    assert float(means[1]) == pytest.approx(200 / 127.5 - 1, abs=0.2)


def test_the_description_is_complete(data: Path, tmp_path: Path) -> None:
    run = session(data, tmp_path / "m.pt", schedule="cosine:T=50", prediction="v", steps=1)
    for _ in run.run():
        pass
    found = checkpoint.read(tmp_path / "m.pt")
    assert found.spec == run.spec
    assert found.spec.shape == (1, 8, 6)
    assert (found.spec.prediction, found.spec.classes, found.spec.class_names) == ("v", 2, ("0", "1"))
    assert schedule(found.spec.schedule).hash == schedule("cosine:T=50").hash
    assert found.spec.statistics is not None
    assert found.spec.statistics.grid == (8, 6)


def test_divergence_keeps_the_last_good_checkpoint(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = session(data, tmp_path / "m.pt")
    step = Trainer._one_step
    monkeypatch.setattr(Trainer, "_one_step", lambda self: step(self) * (float("nan") if self.step == 5 else 1.0))
    with pytest.raises(DtoolError, match="nan after step 5: training diverged") as caught:
        list(run.run())
    assert "--lr" in caught.value.hint
    training = checkpoint.read(tmp_path / "m.pt").training
    assert training is not None
    assert training["step"] == 3


def test_resuming_another_run_is_refused(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "m.pt"
    list(session(data, output).run())
    with pytest.raises(UsageError, match="has all its 12 steps"):
        session(data, output, resume=True)
    with pytest.raises(UsageError, match="trained with --seed 3, not 4"):
        session(data, output, resume=True, steps=20, seed=4)
    with np.load(data) as archive:
        np.savez(tmp_path / "other.npz", x=archive["x"] ^ 1, y=archive["y"])
    with pytest.raises(UsageError, match="other images"):
        session(tmp_path / "other.npz", output, resume=True, steps=20)
    assert session(data, output, resume=True, steps=20).trainer.step == 12


def test_intervals() -> None:
    assert (Every.parse("500"), Every.parse("90s"), Every.parse("5m")) == (Every(500), Every(0, 90), Every(0, 300))
    assert [Every(3).due(step, 1e9) for step in (2, 3, 4)] == [False, True, False]
    assert [Every(seconds=60).due(3, seconds) for seconds in (59, 60)] == [False, True]
    for text in ("0", "-1", "5x", "", "m"):
        with pytest.raises(UsageError, match="interval"):
            Every.parse(text)


def test_grid_goes_row_by_row() -> None:
    images = np.stack([np.full((1, 2, 2), value, np.float32) for value in (-1.0, -0.5, 0.0, 0.5, 1.0, 7.0)])
    picture = grid(images, 3)
    assert picture.shape == (4, 6, 1)
    assert picture[::2, ::2, 0].tolist() == [[0, 64, 128], [191, 255, 255]]


# --- the command -----------------------------------------------------------------

app = typer.Typer()
app.command()(train)
TINY = ["--steps", "4", "--batch-size", "4", "--width", "8", "--multipliers", "1", "--device", "cpu"]


def test_command_says_where_the_checkpoint_is(data: Path, tmp_path: Path) -> None:
    output, preview = tmp_path / "m.pt", tmp_path / "p.png"
    done = CliRunner().invoke(app, [str(data), "-o", str(output), "--preview", str(preview), *TINY])
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{output}\n"
    assert "64 images of (1, 8, 6), 2 classes" in done.stderr
    assert "step 4/4" in done.stderr
    with Image.open(preview) as image:
        assert image.size == (2 * 6 * 8, 6 * 8 * 8)
    quiet = CliRunner().invoke(app, [str(data), "-o", str(output), "--force", "-q", *TINY])
    assert (quiet.exit_code, quiet.stderr) == (0, "")


def test_a_preview_that_cannot_be_written_costs_no_training(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise DtoolError("p.png: can't be written (No space left on device)", "free some space there")

    monkeypatch.setattr("dtool.training.session.write_preview", full)
    output = tmp_path / "m.pt"
    words = [str(data), "-o", str(output), "--preview", str(tmp_path / "p.png"), "--preview-every", "1", *TINY]
    with pytest.warns(UserWarning, match="there is no preview: p.png: can't be written"):
        done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert checkpoint.read(output).spec.shape == (1, 8, 6)


def test_command_writes_safetensors(data: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, [str(data), "-o", str(tmp_path / "m.safetensors"), "--guidance", "2", *TINY])
    assert done.exit_code == 0, done.output
    assert checkpoint.read(tmp_path / "m.safetensors").spec.guidance == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_command_keeps_its_checkpoint(
    number: int, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, step = tmp_path / "m.pt", Trainer._one_step

    def interrupted(self: Trainer) -> Any:
        if self.step == 1:
            os.kill(os.getpid(), number)  # arrives in the middle of a step
        return step(self)

    monkeypatch.setattr(Trainer, "_one_step", interrupted)
    done = CliRunner().invoke(app, [str(data), "-o", str(output), *TINY])
    assert done.exit_code == 130
    assert done.stdout == ""
    assert f"interrupted after 2 steps; {output} is kept: the same command with --resume" in done.stderr
    assert (checkpoint.read(output).training or {})["step"] == 2
    assert CliRunner().invoke(app, [str(data), "-o", str(output), "--resume", *TINY]).exit_code == 0
    assert (checkpoint.read(output).training or {})["step"] == 4


@pytest.mark.parametrize(
    ("options", "says", "code"),
    [
        ({"output": "m.onnx"}, "unknown kind of checkpoint", 2),
        ({"output": "none/m.pt"}, "can't be written", 1),
        ({"output": "there.pt"}, "exists", 2),
        ({"resume": True}, "there is no", 1),
        ({"resume": True, "output": "m.safetensors"}, "no state of training", 2),
        ({"scheduler": "linaer"}, "linaer", 2),
        ({"scheduler": "linear:zero_snr=true"}, "pure noise", 2),
        ({"save_every": "now"}, "not an interval", 2),
        ({"multipliers": "1,two"}, "--multipliers 1,two", 2),
        ({"width": 12}, "--width", 2),
        ({"attention": "3"}, "the network: attention names a level outside 0", 2),
        ({"lr": -1.0}, "--lr", 2),
        ({"ema": 1.0}, "--ema", 2),
        ({"size": "big"}, "--size", 2),
        ({"size": "0x4"}, "--size 0x4", 2),
        ({"size": "9"}, "--size works for folders", 2),
        ({"preview": "none/p.png"}, "p.png: can't be written", 1),
        ({"mixed_precision": "fp16"}, "needs a GPU", 2),
    ],
)
def test_bad_requests_fail_before_training(
    options: dict[str, Any], says: str, code: int, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.pt").touch()
    monkeypatch.setattr(Trainer, "run", lambda _self: pytest.fail("training began"))
    paths = {name: Path(value) for name, value in options.items() if name in ("output", "preview")}
    with pytest.raises(DtoolError) as caught:
        train(str(data), **{"device": "cpu", "output": Path("m.pt"), **options, **paths})
    assert says in str(caught.value)
    assert caught.value.exit_code == code
    assert caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["there.pt"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_cuda_is_never_replaced_by_the_cpu(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DtoolError, match="--device cuda") as caught:
        train(str(data), output=tmp_path / "m.pt", device="cuda")
    assert "install" in caught.value.hint or "nvidia-smi" in caught.value.hint
