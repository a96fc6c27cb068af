import json
import os
import pickle
import signal
import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import dtool
from dtool.compare import work_sharing
from dtool.compare.work_sharing import PlanImages, UnfinishedError, WorkSharing
from dtool.errors import DtoolError, UsageError
from dtool.parts.share import Share

RECIPES = ["ddim", "ddpm"]


def open_mixture():
    return dtool.targets.target("gmm:d=2").network()


def open_and_die_once(marker):
    """The first process that opens the network is killed."""
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return open_mixture()
    os.kill(os.getpid(), signal.SIGKILL)
    return None


def run(folder, *, seed=0, recipes=RECIPES, n=150, workers=1, share=(0, 1), opener=open_mixture, **options):
    sharing = WorkSharing(folder=folder, workers=workers, share=Share(*share), opener=opener)
    real = dtool.targets.target("gmm:d=2").sample(40, seed=5)
    return dtool.compare(
        open_mixture(), recipes, steps=3, n=n, seed=seed, reference=real, metrics=["energy"], sharing=sharing, **options
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return run(tmp_path_factory.mktemp("one"))


def test_figures_are_those_of_one_process_without_times(whole):
    real = dtool.targets.target("gmm:d=2").sample(40, seed=5)
    usual = dtool.compare(open_mixture(), RECIPES, steps=3, n=150, reference=real, metrics=["energy"], repeats=1)
    ours, theirs = whole.to_dict(), usual.to_dict()
    assert all(entry["seconds"] is None and entry["images_per_second"] is None for entry in ours["entries"])
    timed = ("seconds", "seconds_low", "seconds_high", "images_per_second", "timing")
    for document in (ours, theirs):
        document.pop("repeats")
        for entry in document["entries"]:
            for name in timed:
                entry.pop(name)
    assert ours == theirs
    assert np.array_equal(whole.images, usual.images[:, :256])


def test_three_parts_in_any_order_make_the_same_bytes(whole, tmp_path):
    for index in (2, 0):
        with pytest.raises(UnfinishedError, match="blocks are not there yet") as caught:
            run(tmp_path, share=(index, 3))
        assert "--into" in caught.value.hint
    assert run(tmp_path, share=(1, 3)).to_json() == whole.to_json()
    assert run(tmp_path, share=(0, 3)).to_json() == whole.to_json(), "whoever comes when all is there makes it too"


def test_a_killed_worker_changes_no_byte(whole, tmp_path):
    opener = partial(open_and_die_once, str(tmp_path / "died"))
    assert run(tmp_path / "blocks", workers=2, opener=opener).to_json() == whole.to_json()
    assert (tmp_path / "died").exists()


def test_what_an_interrupted_run_drew_is_not_drawn_again(whole, tmp_path, monkeypatch):
    drawn = []
    draw = work_sharing.draw_plan_block

    def interrupt(job, part):
        drawn.append(part)
        if len(drawn) == 3:
            raise KeyboardInterrupt
        return draw(job, part)

    monkeypatch.setattr(work_sharing, "draw_plan_block", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path)
    assert run(tmp_path).to_json() == whole.to_json()
    assert len(drawn) == len(set(drawn)) + 1 == 7, "two recipes of three blocks, and the interrupted one twice"


def test_a_missing_block_is_drawn_and_an_altered_one_refused(whole, tmp_path):
    run(tmp_path)
    one, *_, other = sorted(tmp_path.glob("*.npz"))
    one.unlink()
    assert run(tmp_path).to_json() == whole.to_json()
    content = bytearray(other.read_bytes())
    content[len(content) // 2] ^= 1
    for damaged in (bytes(content), content[:100]):
        other.write_bytes(damaged)
        with pytest.raises(DtoolError, match=f"{other.name} is truncated, or was altered") as caught:
            run(tmp_path)
        assert caught.value.hint == "take it away if it is there; the same command then draws it again"
        assert other.read_bytes() == damaged, "nothing is deleted unasked"


@pytest.mark.parametrize(
    ("other", "what"),
    [({"seed": 1}, "seed 0 there, 1 here"), ({"recipes": ["ddim"]}, "plans"), ({"n": 151}, "n 150 there, 151 here")],
)
def test_the_folder_of_another_comparison_is_refused(tmp_path, other, what):
    run(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(DtoolError, match=f"holds the blocks of another comparison: {what}") as caught:
        run(tmp_path, **other)
    assert "--into" in caught.value.hint
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_another_network_and_a_folder_of_other_things_are_refused(tmp_path):
    run(tmp_path / "a")
    sharing = WorkSharing(folder=tmp_path / "a")
    with pytest.raises(DtoolError, match="another comparison: network"):
        dtool.compare(dtool.targets.target("gmm:d=3").network(), RECIPES, steps=3, n=150, sharing=sharing)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.tex").write_text("")
    with pytest.raises(DtoolError, match=r"holds other files \(thesis.tex\)"):
        run(tmp_path / "b")
    (tmp_path / "a" / "comparison.json").write_text("{")
    with pytest.raises(DtoolError, match=r"comparison\.json cannot be read"):
        run(tmp_path / "a")


def test_blocks_without_a_folder_are_kept_beside_the_output(whole, tmp_path):
    assert run(None, keep=tmp_path).to_json() == whole.to_json()
    with pytest.raises(UsageError, match="no folder for the blocks"):
        run(None)


def test_what_cannot_be_shared_is_refused(tmp_path):
    with pytest.raises(UsageError, match="a budget is of one process"):
        run(tmp_path, n=None, budget=1.0)
    with pytest.raises(UsageError, match="part 1/2 leaves its blocks nowhere"):
        WorkSharing(share=Share(0, 2))
    with pytest.raises(UsageError, match="a network in memory"):
        WorkSharing(workers=2)


def test_images_of_two_plans_are_held_at_a_time():
    made = []
    images = PlanImages(lambda i: made.append(i) or np.zeros(i), 4)
    assert [len(one) for one in images] == [0, 1, 2, 3]
    assert [len(one) for one in images[2:]] == [2, 3]
    assert made == [0, 1, 2, 3], "those of the last two are there still"
    assert len(images[0]) == 0
    assert made == [0, 1, 2, 3, 0]


def test_candidates_drawn_by_workers_are_recommended_alike():
    options = {"calls": 4, "recipes": ["ddim", "heun", "dpmpp-2m"]}
    usual = dtool.recommend(open_mixture(), **options)
    shared = dtool.recommend(open_mixture(), **options, sharing=WorkSharing())
    assert shared.spent > usual.spent, "which calls have in common, workers do not know"
    assert replace(shared, spent=usual.spent) == usual
    with pytest.raises(UsageError, match="milliseconds are measured by one process"):
        dtool.recommend(open_mixture(), ms=5, sharing=WorkSharing())


def test_a_job_is_pickled_without_its_network():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sampler = work_sharing.ComparisonSampler(
            network=open_mixture(), plans=[dtool.plan("ddim", steps=3, network=open_mixture())], names=["ddim"], seed=0,
            labels=None, options={},
        )  # fmt: skip
        job = work_sharing.DrawingJob(opener=open_mixture, sampler=sampler)
        part = work_sharing.PlanBlock(0, work_sharing.Block(3, 5))
        data = pickle.dumps((job, work_sharing.draw_plan_block))
        other, function = pickle.loads(data)
    assert np.array_equal(function(other, part), work_sharing.draw_plan_block(job, part))
    assert str(part) == "recipe 1, images 3 to 5"
    assert json.dumps(str(sampler.network.spec)) not in repr(data)
