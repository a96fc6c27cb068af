"""A batch in parts is the batch, and half of the pictures are mirrored."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")
from dtool.training.batch import flip_half, make_batch  # noqa: E402
from tests.support.training import assert_same_content, session  # noqa: E402


def test_the_parts_of_a_batch_are_the_batch(data: Path, tmp_path: Path) -> None:
    trainer = session(data, tmp_path / "m.pt", batch_size=11, task="upscale:2").trainer
    batch = make_batch(trainer.config, trainer.images, trainer.task, 3, trainer.times)
    parts = list(batch.split(4))
    assert [len(part) for part in parts] == [3, 3, 3, 2]
    for name in ("x0", "eps", "t", "label"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(batch, name))
    assert batch.told.keys() == {"low", "level"}
    for name, whole in batch.told.items():
        assert torch.equal(torch.cat([part.told[name] for part in parts]), whole)


def test_half_of_the_pictures_are_mirrored_and_nothing_else_changes() -> None:
    pixels = torch.arange(400 * 6.0).reshape(400, 1, 2, 3)
    flipped = flip_half(pixels, torch.Generator().manual_seed(0))
    same = (flipped == pixels).flatten(1).all(1)
    mirrored = (flipped == pixels.flip(-1)).flatten(1).all(1)
    assert bool((same ^ mirrored).all())
    assert 150 < int(mirrored.sum()) < 250


def test_flips_are_a_function_of_seed_and_step(data: Path, tmp_path: Path) -> None:
    trainers = [session(data, tmp_path / "m.pt", flip=flip).trainer for flip in (True, True, False)]
    one, again, plain = (make_batch(t.config, t.images, None, 2, t.times) for t in trainers)
    assert_same_content(vars(one), vars(again))
    assert torch.equal(one.eps, plain.eps)
    assert torch.equal(one.t, plain.t)
    assert not torch.equal(one.x0, plain.x0)
