"""The defaults of every class are diffusers' own, and values of a wrong type or size are refused in one line."""

import inspect
from math import inf, nan

import pytest

from dtool.errors import DtoolError
from dtool.models.readers.diffusers_config import DEFAULTS, open_config
from dtool.models.readers.diffusers_scheduler import read_scheduler_config


@pytest.mark.parametrize("kind", DEFAULTS)
def test_defaults_are_those_of_the_class(kind):
    diffusers = pytest.importorskip("diffusers")
    parameters = inspect.signature(getattr(diffusers, kind).__init__).parameters
    theirs = {name: p.default for name, p in parameters.items() if name not in ("self", "kwargs")}
    assert DEFAULTS[kind] == theirs


@pytest.mark.parametrize("kind", DEFAULTS)
def test_a_fresh_schedulers_config_reads_as_none_at_all(kind):
    diffusers = pytest.importorskip("diffusers")
    whole = dict(getattr(diffusers, kind)().config)
    assert read_scheduler_config(whole, class_name=kind) == read_scheduler_config({"_class_name": kind})


@pytest.mark.parametrize(
    ("config", "cause"),
    [
        ({"beta_start": "0.1"}, "beta_start is '0.1'"),
        ({"beta_end": nan}, "beta_end is nan"),
        ({"beta_end": inf}, "beta_end is inf"),
        ({"beta_end": 10**400}, "beta_end is 1"),
        ({"beta_end": 2}, "beta_end is 2"),
        ({"beta_start": 0}, "cannot be had"),
        ({"num_train_timesteps": 10**9}, "num_train_timesteps is 1000000000"),
        ({"num_train_timesteps": 1e3}, "num_train_timesteps is 1000.0"),
        ({"num_train_timesteps": True}, "num_train_timesteps is True"),
        ({"num_train_timesteps": None}, "num_train_timesteps is None"),
        ({"clip_sample": "yes"}, "clip_sample is 'yes'"),
        ({"clip_sample_range": -1}, "clip_sample_range is -1"),
        ({"thresholding": True, "sample_max_value": 0.5}, "sample_max_value is 0.5"),
        ({"thresholding": True, "dynamic_thresholding_ratio": 0}, "dynamic_thresholding_ratio is 0"),
        ({"beta_schedule": "linar"}, "beta_schedule is 'linar'"),
        ({"beta_schedule": ["linear"]}, "beta_schedule is ["),
        ({"beta_schedule": "laplace"}, "beta_schedule is 'laplace'"),
        ({"prediction_type": "noise"}, "prediction_type is 'noise'"),
        ({"timestep_spacing": 3}, "timestep_spacing is 3"),
        ({"steps_offset": -1}, "steps_offset is -1"),
        ({"steps_offset": 10**9}, "steps_offset is 1000000000"),
        ({"trained_betas": "0.1"}, "trained_betas is '0.1'"),
        ({"trained_betas": [[0.1]] * 1000}, "trained_betas is ["),
    ],
)
def test_values_of_a_wrong_type_or_size(config, cause):
    with pytest.raises(DtoolError) as error:
        read_scheduler_config({"_class_name": "DDIMScheduler", **config}, source="scheduler/scheduler_config.json")
    assert str(error.value).startswith("scheduler/scheduler_config.json: ")
    assert cause in str(error.value)
    assert error.value.hint
    assert "\n" not in str(error.value) + error.value.hint
    assert len(str(error.value)) < 200


@pytest.mark.parametrize(
    ("config", "cause", "hint"),
    [
        ({"_class_name": "DDIMSchedular"}, "does not know how 'DDIMSchedular' samples", "did you mean DDIMScheduler"),
        ({"_class_name": "x" * 10**6}, "does not know how", "--schedule"),
        ({}, "does not say what scheduler it is", "_class_name"),
        ({"_class_name": 3}, "does not say what scheduler it is", "_class_name"),
        ([], "no object with named values", "save_pretrained"),
        ({3: 4}, "no object with named values", "save_pretrained"),
    ],
)
def test_what_is_no_config(config, cause, hint):
    with pytest.raises(DtoolError, match=cause) as error:
        open_config(config, None, "the config")
    assert hint in error.value.hint
