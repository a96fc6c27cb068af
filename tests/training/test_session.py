"""Every step is reproducible, and no interruption changes the result."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")
import dtool  # noqa: E402
from dtool.cli.commands.train import train  # noqa: E402
from dtool.errors import DtoolError  # noqa: E402
from dtool.models import checkpoint  # noqa: E402
from dtool.schedulers import get_scheduler  # noqa: E402
from dtool.training.config import TrainConfig  # noqa: E402
from dtool.training.loop import Trainer  # noqa: E402
from dtool.training.session import start  # noqa: E402
from tests.support.places import ROOT  # noqa: E402
from tests.support.training import assert_same_content, session  # noqa: E402

KILLED = """
import os, pathlib, signal, sys
sys.path.insert(0, {tests!r})
from tests.support.training import session
for progress in session(pathlib.Path({data!r}), pathlib.Path({output!r})).run():
    if progress.step == 8:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_killed_and_resumed_is_bit_for_bit_uninterrupted(data: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole.pt", tmp_path / "killed.pt"
    script = KILLED.format(tests=str(ROOT), data=str(data), output=str(killed))
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
    assert get_scheduler(found.spec.schedule).hash == get_scheduler("cosine:T=50").hash
    assert found.spec.statistics is not None
    assert found.spec.statistics.grid == (8, 6)


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
    output, step = tmp_path / "m.pt", Trainer._run_step

    def interrupted(self: Trainer) -> Any:
        if self.step == 1:
            os.kill(os.getpid(), number)  # arrives in the middle of a step
        return step(self)

    monkeypatch.setattr(Trainer, "_run_step", interrupted)
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


@pytest.mark.parametrize(("dropout", "known"), [(0.0, False), (0.1, True)])
def test_a_network_knows_no_class_if_labels_were_hidden_from_it(
    dropout: float, known: bool, data: Path, tmp_path: Path
) -> None:
    assert session(data, tmp_path / "m.pt", label_dropout=dropout).spec.null_class is known
