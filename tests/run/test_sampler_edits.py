"""The inputs of a sampler's file for a run that begins at an image."""

from types import SimpleNamespace

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from dtool.models.spec import NetworkSpec
from dtool.onnx.sampler_inputs import SamplerInputs
from dtool.run.editing import Edit
from dtool.run.sampler_edits import ALMOST_ALL, feed_edit, make_no_edit, require_edits, require_own_edit
from dtool.run.sampler_form import SamplerForm

SHAPE, EDITS = (3, 2, 4), ("image", "mask", "strength")
IMAGE = np.random.default_rng(0).uniform(-1, 1, (4, *SHAPE)).astype(np.float32)
DRAWN = np.float32(IMAGE[:, :1] > 0)


def make_form(*edits):
    return SamplerForm(history=0, saved=False, edits=edits)


def test_no_edit_has_no_entry_and_no_strength():
    none = make_no_edit(NetworkSpec(shape=SHAPE, schedule="linear"), make_form(*EDITS))
    assert {name: array.shape for name, array in none.items()} == {
        "image": (0, *SHAPE),
        "mask": (0, 1, 2, 4),
        "strength": (),
    }
    assert none["strength"] < 0
    assert [*make_no_edit(NetworkSpec(shape=SHAPE, schedule="linear"), make_form("image"))] == ["image"]
    assert make_no_edit(NetworkSpec(shape=SHAPE, schedule="linear"), make_form()) == {}


@pytest.mark.parametrize(("strength", "taken"), [(0.5, 5), (0.29, 2), (1 - 1e-12, 10)])
def test_the_file_is_told_the_steps_that_the_host_takes(strength, taken):
    """Of its own plan; in float32, so that no share is rounded to another number of steps, nor to a start at noise."""
    own, edit = dtool.plan("ddim", steps=10), Edit(image=IMAGE, strength=strength, drawn=DRAWN)
    late = dtool.plan("ddim", steps=10, strength=strength)
    feed = feed_edit(edit, late, own, np.array([2, 2, 0]), fixed=True)
    assert late.steps == taken
    assert feed["strength"] == min(np.float32(taken / 10), ALMOST_ALL)
    assert feed["strength"].dtype == np.float32
    assert np.array_equal(feed["image"], IMAGE[[2, 2, 0]])
    assert np.array_equal(feed["mask"], DRAWN[[2, 2, 0]])
    other = feed_edit(edit, late, own, np.array([0]), fixed=False)
    assert other["strength"] == min(np.float32(strength), ALMOST_ALL)


@pytest.mark.parametrize("strength", [0, 1])
def test_the_ends_are_told_as_they_are(strength):
    own = dtool.plan("ddim", steps=3)
    feed = feed_edit(Edit(image=IMAGE, strength=strength), own, own, np.arange(4), fixed=True)
    assert feed["strength"] == strength
    assert "mask" not in feed


def test_what_is_no_input_is_refused_by_its_name():
    with pytest.raises(UsageError, match="begins at noise, and takes no image"):
        require_edits(make_form(), SamplerInputs(frozenset()), ["image"])
    with pytest.raises(UsageError, match="takes no mask"):
        require_edits(make_form("image"), SamplerInputs(frozenset({"image"})), ["image", "mask"])
    require_edits(make_form(*EDITS), SamplerInputs(frozenset(EDITS)), ["image", "strength"])


def test_a_file_without_the_strength_has_the_usual_one():
    plan = dtool.plan("ddim", steps=10)
    file = SimpleNamespace(plan=plan, inputs=SamplerInputs(frozenset({"image", "mask"})))
    require_own_edit(file, Edit(image=IMAGE, strength=0.8), plan, fixed=False)
    require_own_edit(file, Edit(image=IMAGE, strength=1, drawn=DRAWN), plan, fixed=False)
    with pytest.raises(UsageError, match=r"strength is 1, not 0.8"):
        require_own_edit(file, Edit(image=IMAGE, strength=0.8, drawn=DRAWN), plan, fixed=False)


def test_a_file_of_one_plan_runs_the_last_steps_of_that_alone():
    network = dtool.network(lambda x, t: x, shape=(2,))
    plan = dtool.plan("dpmpp-2m", steps=10, network=network)
    file = SimpleNamespace(
        plan=plan, inputs=SamplerInputs(frozenset(EDITS)), schedule=network.schedule, prediction=network.prediction
    )
    edit = Edit(image=IMAGE, strength=0.5)
    require_own_edit(file, edit, dtool.plan("dpmpp-2m", steps=10, network=network, strength=0.5), fixed=True)
    with pytest.raises(UsageError, match="its own plan alone: dpmpp-2m, 10 steps"):
        require_own_edit(file, edit, dtool.plan("dpmpp-2m", steps=10, network=network, strength=0.4), fixed=True)
