"""A run that diverges keeps its last checkpoint, and a preview changes nothing."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")
from dtool.errors import DtoolError  # noqa: E402
from dtool.models import checkpoint  # noqa: E402
from dtool.training.loop import Trainer  # noqa: E402
from tests.support.training import assert_same_content, session  # noqa: E402


def test_looking_does_not_change_the_run(data: Path, tmp_path: Path) -> None:
    plain, watched = session(data, tmp_path / "a.pt", steps=4), session(data, tmp_path / "b.pt", steps=4)
    watched.preview = lambda network: network.requires_grad_(False).zero_grad()
    for _ in plain.run():
        pass
    for _ in watched.run():
        torch.rand(1)  # whoever else uses the global generator
    assert_same_content(plain.trainer.state(), watched.trainer.state())


def test_divergence_keeps_the_last_good_checkpoint(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = session(data, tmp_path / "m.pt")
    step = Trainer._run_step
    monkeypatch.setattr(Trainer, "_run_step", lambda self: step(self) * (float("nan") if self.step == 5 else 1.0))
    with pytest.raises(DtoolError, match="nan after step 5: training diverged") as caught:
        list(run.run())
    assert "--lr" in caught.value.hint
    training = checkpoint.read(tmp_path / "m.pt").training
    assert training is not None
    assert training["step"] == 3


def test_a_step_is_clipped_to_the_length_that_is_set(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths = []
    trainer = session(data, tmp_path / "m.pt", steps=1, clip=1e-4).trainer
    step = trainer.optimizer.step

    def watch() -> None:
        squares = [p.grad.square().sum() for p in trainer.network.parameters() if p.grad is not None]
        lengths.append(float(torch.stack(squares).sum().sqrt()))
        step()

    monkeypatch.setattr(trainer.optimizer, "step", watch)
    list(trainer.run())
    assert lengths == pytest.approx([1e-4], rel=1e-3)


def get_weights(data: Path, output: Path, **settings: Any) -> dict[str, Any]:
    """The weights after 6 steps of plain gradient descent."""
    trainer = session(data, output, steps=6, clip=1e9, **settings).trainer
    trainer.optimizer = torch.optim.SGD(trainer.network.parameters(), 0.2)
    list(trainer.run())
    weights: dict[str, Any] = trainer.network.state_dict()
    return weights


def test_a_batch_in_parts_is_the_batch_to_rounding(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.nn.Dropout.forward", lambda _self, x: x)  # each part draws its own
    whole, parts = (get_weights(data, tmp_path / "m.pt", accumulate=n) for n in (1, 3))
    before = session(data, tmp_path / "m.pt").trainer.network.state_dict()
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, rtol=1e-4, atol=1e-6)
    assert max(float((whole[name] - before[name]).abs().max()) for name in whole) > 1e-3


def test_checkpointing_changes_no_bit_and_keeps_less(data: Path, tmp_path: Path) -> None:
    states, kept = [], []
    for on in (False, True):
        trainer = session(data, tmp_path / "m.pt", steps=3, gradient_checkpointing=on).trainer
        total = 0

        def count(value: Any) -> Any:
            nonlocal total
            total += value.numel()
            return value

        with torch.autograd.graph.saved_tensors_hooks(count, lambda value: value):
            list(trainer.run())
        states.append(trainer.network.state_dict())
        kept.append(total)
    assert_same_content(*states)
    assert kept[1] < 0.6 * kept[0]


def test_two_averages_are_resumed_and_written_as_two_models(data: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"second_ema": 0.5, "ema": 0.9}
    whole = session(data, tmp_path / "whole.pt", **settings)
    list(whole.run())
    first = session(data, tmp_path / "m.pt", steps=6, **settings)
    list(first.run())
    again = session(data, tmp_path / "m.pt", resume=True, **settings)
    assert again.trainer.step == 6
    # the learning rate depends on all the steps, which were fewer at first: only the averages' own state is compared
    for kept, loaded in zip(first.trainer.averages, again.trainer.averages, strict=True):
        assert_same_content(kept.average, loaded.average)
    written = [checkpoint.read(tmp_path / name).state_dict for name in ("whole.pt", "whole-ema2.pt")]
    for average, weights in zip(whole.trainer.averages, written, strict=True):
        assert_same_content(average.average, weights)
    assert not torch.equal(written[0]["first.weight"], written[1]["first.weight"])
