"""Flow-matching schedulers: their shifts, and the levels that come of them."""

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError
from dtool.models.readers.diffusers_scheduler import read_scheduler_config
from dtool.plan import Recipe, grid

KIND = "FlowMatchEulerDiscreteScheduler"
DYNAMIC = {"use_dynamic_shifting": True}


def levels(reading, n):
    recipe = Recipe.parse(reading.recipe)
    return [p.sigma for p in grid(recipe.scheduler or dtool.get_scheduler(reading.schedule), recipe.spacing, n)]


@pytest.mark.parametrize("n", [1, 2, 28])
@pytest.mark.parametrize(
    ("config", "mu", "tokens"),
    [
        ({}, None, None), ({"shift": 3.0}, None, None), ({"shift": 3.0, "num_train_timesteps": 500}, None, None),
        ({"shift": 3.0, "shift_terminal": 0.1}, None, None), (DYNAMIC, 1.15, None), (DYNAMIC, 0.63, 1024),
        (DYNAMIC | {"time_shift_type": "linear"}, 1.15, None), (DYNAMIC | {"shift_terminal": 0.1}, 1.15, None),
    ],
)  # fmt: skip
def test_the_levels_are_theirs(config, mu, tokens, n):
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(**config)
    scheduler.set_timesteps(n, **({} if mu is None else {"mu": mu}))
    reading = read_scheduler_config(config, class_name=KIND, tokens=tokens)
    if n == 1 and "shift_terminal" in config:
        pytest.skip("one level alone cannot be stretched")
    assert levels(reading, n) == pytest.approx(scheduler.sigmas.tolist(), abs=2e-7)
    assert reading.differences == ()
    assert (reading.assumptions != ()) == (mu is not None and tokens is None)


def test_pipelines_with_levels_of_their_own():
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    scheduler.set_timesteps(sigmas=np.linspace(1, 1 / 10, 10))
    reading = read_scheduler_config({"shift": 3.0}, class_name=KIND, pipeline="FluxPipeline")
    assert levels(reading, 10) == pytest.approx(scheduler.sigmas.tolist(), abs=2e-7)


def test_a_shift_towards_the_image_is_clamped():
    reading = read_scheduler_config({"shift": 0.5}, class_name=KIND)
    assert reading.recipe == "euler@flow:shift=0.5/normal"
    assert "below the levels" in reading.differences[0]


def test_tokens():
    few, many = (read_scheduler_config(DYNAMIC, class_name=KIND, tokens=k).recipe for k in (256, 4096))
    assert few == "euler/flow-sigmas:shift=1.6487212707001282"
    assert many == read_scheduler_config(DYNAMIC, class_name=KIND).recipe


@pytest.mark.parametrize(
    ("config", "cause"),
    [
        ({"invert_sigmas": True}, "invert_sigmas"), ({"shift": 0}, "shift is 0"), ({"shift": "3"}, "shift is '3'"),
        (DYNAMIC | {"max_shift": 1e9}, "max_shift"), ({"shift_terminal": 1}, "shift_terminal is 1"),
        (DYNAMIC | {"max_image_seq_len": 10**12}, "max_image_seq_len"),
    ],
)  # fmt: skip
def test_what_it_cannot_have(config, cause):
    with pytest.raises(DtoolError, match=cause) as error:
        read_scheduler_config(config, class_name=KIND)
    assert error.value.hint
