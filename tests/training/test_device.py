"""Several processes train what one does, but for rounding; one of them writes, and any of them can be interrupted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")
from dtool.errors import UsageError  # noqa: E402
from dtool.training.config import TrainConfig  # noqa: E402
from dtool.training.device import is_first_process, make_accelerator, require_shares  # noqa: E402
from dtool.training.period import Period  # noqa: E402
from dtool.training.session import Session, start  # noqa: E402
from tests.support.places import ROOT  # noqa: E402

pytestmark = pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="PyTorch is built without gloo")
SETTINGS: dict[str, Any] = {"steps": 5, "batch_size": 9, "seed": 3, "label_dropout": 0.3, "clip": 1e3, "flip": True}
SMALL = {"width": 8, "multipliers": (1, 2), "attention": (1,), "dropout": 0.2}
WORKER = """
import json, os, pathlib, signal, sys
from tests.training.test_device import make
rank, (data, folder, stop) = os.environ["RANK"], sys.argv[1:]
folder = pathlib.Path(folder)
run = make(pathlib.Path(data), folder / "two.pt", accumulate=2, preview=folder / "p.png", save_every=1)
losses = []
for progress in run.run():
    losses.append(progress.loss)
    if stop == rank and progress.step == 2:
        os.kill(os.getpid(), signal.SIGINT)
text = json.dumps({"losses": losses, "interrupted": run.interrupted})
(folder / f"{rank}.json").write_text(text)
"""


def make(data: Path, output: Path, *, resume: bool = False, save_every: int = 100, **settings: Any) -> Session:
    preview = settings.pop("preview", None)
    config = TrainConfig(**{**SETTINGS, **settings})
    return start(
        str(data), output, config, network=SMALL, device="cpu", resume=resume, preview=preview,
        save_every=Period(steps=save_every),
    )  # fmt: skip


def launch(*words: str, processes: int = 2) -> subprocess.CompletedProcess[str]:
    """These words of Python in so many processes, as torchrun starts them."""
    starter = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes))
    return subprocess.run(
        [sys.executable, *starter, *words], capture_output=True, text=True, check=False, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def work(data: Path, folder: Path, stop: str = "none") -> list[dict[str, Any]]:
    """What each of two processes says of its run."""
    script = folder / "worker.py"
    script.write_text(WORKER)
    done = launch(str(script), str(data), str(folder), stop)
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def read_moments(path: Path) -> Any:
    """The mean gradients that AdamW has kept, of all weights: unlike their steps, they have the gradients' scale."""
    state = read_state(path)["optimizer"]["state"]
    return torch.cat([state[number]["exp_avg"].flatten() for number in sorted(state)])


def read_state(path: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(path, weights_only=True)["training"]
    return state


def test_two_processes_train_what_one_does_and_one_of_them_writes(data: Path, tmp_path: Path) -> None:
    whole = make(data, tmp_path / "one.pt", accumulate=4)
    losses = [progress.loss for progress in whole.run()]
    first, second = work(data, tmp_path)
    assert first == second
    assert first["losses"] == pytest.approx(losses, rel=1e-4)
    one, two = (read_moments(tmp_path / f"{name}.pt") for name in ("one", "two"))
    assert float((one - two).abs().max()) < 1e-3 * float(one.abs().max())
    assert (tmp_path / "p.png").exists()


def test_a_signal_to_one_of_them_stops_both_after_one_step_and_the_run_goes_on(data: Path, tmp_path: Path) -> None:
    said = work(data, tmp_path, stop="1")
    assert [one["interrupted"] for one in said] == [True, True]
    assert [len(one["losses"]) for one in said] == [2, 2]
    output = tmp_path / "two.pt"
    assert read_state(output)["step"] == 2
    list(make(data, output, accumulate=2, resume=True).run())
    assert read_state(output)["step"] == 5


def test_the_command_as_it_is_typed(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "m.pt"
    words = [str(data), "-o", str(output), "--steps", "2", "--batch-size", "6", "--width", "8", "--multipliers", "1"]
    done = launch("-m", "dtool", "train", *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{output}\n"
    assert done.stderr.count("64 images of (1, 8, 6), 2 classes") == 1
    assert read_state(output)["step"] == 2
    refused = launch("-m", "dtool", "train", *words, "--force", "--replicas", "2")
    assert refused.returncode != 0
    assert "--replicas 2 in 2 processes" in refused.stderr


@pytest.mark.parametrize(
    ("settings", "processes", "says"),
    [
        ({"replicas": 2, "batch_size": 8}, 2, "--replicas 2 in 2 processes"),
        ({"accumulate": 4, "batch_size": 7}, 2, "--batch-size 7 is all 2 processes' together, --accumulate 4"),
        ({"accumulate": 4, "batch_size": 8, "replicas": 2}, 1, None),
        ({"accumulate": 4, "batch_size": 8}, 2, None),
    ],
)
def test_shares_that_cannot_be_had_are_refused(settings: dict[str, Any], processes: int, says: str | None) -> None:
    config = TrainConfig(steps=1, **settings)
    if says is None:
        require_shares(config, processes)
        return
    with pytest.raises(UsageError, match=says) as caught:
        require_shares(config, processes)
    assert caught.value.hint


def test_what_started_this_process_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_first_process()
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    with pytest.warns(UserWarning, match="accelerate launch has started one process alone"):
        make_accelerator("cpu", "no", several=True)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert not is_first_process()
    with pytest.raises(UsageError, match="this training runs in one process"):
        make_accelerator("cpu", "no")


@pytest.mark.parametrize("emulated", [True, False])
def test_bfloat16_that_a_processor_emulates_is_warned_of(emulated, monkeypatch):
    monkeypatch.setattr("dtool.training.device.computes_in_bf16", lambda: not emulated)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make_accelerator("cpu", "bf16")
        make_accelerator("cpu", "no")
    assert ["no instructions for bfloat16" in str(one.message) for one in caught] == [True] * emulated
