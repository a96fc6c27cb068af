"""What a file is told where anything will do."""

from types import SimpleNamespace

import numpy as np
import pytest

import dtool
from dtool.export.sampler.trial_feed import make_trial_edit, take_changeable
from dtool.models.spec import NetworkSpec
from dtool.onnx.sampler_inputs import SamplerInputs


def make_file(*takes, bounds=(0.0, 1.0)):
    inputs = SamplerInputs(frozenset(takes))
    return SimpleNamespace(
        inputs=inputs,
        spec=NetworkSpec(shape=(2, 3, 4), schedule="linear"),
        plan=dtool.plan("ddim", steps=6),
        edited_range=bounds,
    )


@pytest.mark.parametrize(
    ("masked", "steps", "strength"), [(False, None, 2 / 3), (False, 1, 1 / 6), (True, None, None), (True, 2, 1 / 3)]
)
def test_an_edit_of_random_images(masked, steps, strength):
    edit = make_trial_edit(make_file("image", "mask", "strength"), 5, masked=masked, steps=steps)
    assert edit["image"].shape == (5, 2, 3, 4)
    assert 0 <= edit["image"].min() < edit["image"].max() <= 1
    assert edit.get("strength") == (None if strength is None else pytest.approx(strength))
    assert ("mask" in edit) == masked
    assert not masked or (edit["mask"].shape, set(np.unique(edit["mask"]))) == ((1, 3, 4), {0.0, 1.0})
    assert "strength" not in make_trial_edit(make_file("image"), 1, masked=False)


def test_only_what_can_be_told_is():
    assert take_changeable(make_file("a_without"), {"a": 1, "b": 2}) == {"a": 1}
