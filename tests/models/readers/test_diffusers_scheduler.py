"""What a scheduler's config says of the network: schedule, prediction, time, clipping; and contradictions."""

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError
from dtool.models.readers.diffusers_scheduler import ConsistencyBoundary, NegatedOutput, read_scheduler_config

MULTI, EULER, UNIPC = "DPMSolverMultistepScheduler", "EulerDiscreteScheduler", "UniPCMultistepScheduler"
STABLE_DIFFUSION = {
    "_class_name": "PNDMScheduler", "_diffusers_version": "0.6.0", "beta_end": 0.012, "beta_schedule": "scaled_linear",
    "beta_start": 0.00085, "num_train_timesteps": 1000, "set_alpha_to_one": False, "skip_prk_steps": True,
    "steps_offset": 1, "trained_betas": None, "clip_sample": False,
}  # fmt: skip


def read(kind, **config):
    return read_scheduler_config(config, class_name=kind)


def test_stable_diffusion():
    found = read_scheduler_config(STABLE_DIFFUSION)
    assert found.recipe == "plms/leading:offset=1,compat=diffusers,end=alpha_bar_0"
    assert found.to_fields() == {
        "schedule": "scaled-linear", "prediction": "eps", "time": "index", "clip": False, "clip_range": None,
        "threshold": None, "threshold_max": None, "learned_variance": False,
    }  # fmt: skip
    assert found.differences == ()


def test_an_absent_key_is_the_default_of_the_class_that_reads_it():
    """PNDM has no clip_sample; DDIM made from its config clips."""
    config = {key: value for key, value in STABLE_DIFFUSION.items() if key != "clip_sample"}
    assert not read_scheduler_config(config).clip
    assert read_scheduler_config(config, class_name="DDIMScheduler").clip


@pytest.mark.parametrize(
    ("config", "schedule"),
    [
        ({"beta_schedule": "squaredcos_cap_v2"}, "cosine"),
        ({"beta_schedule": "sigmoid"}, "sigmoid-beta"),
        ({"rescale_betas_zero_snr": True}, "linear:zero_snr=true"),
        ({"num_train_timesteps": 500, "beta_end": 0.04}, "linear:T=500,beta_start=5e-05"),
        ({"beta_start": 0.001}, "linear:beta_start=0.001"),
    ],
)
def test_schedules(config, schedule):
    diffusers = pytest.importorskip("diffusers")
    found = read("DDPMScheduler", **config)
    assert found.schedule == schedule
    theirs = diffusers.DDPMScheduler(**config).alphas_cumprod.numpy()
    assert dtool.get_scheduler(schedule).alpha_bar == pytest.approx(theirs, rel=2e-4, abs=1e-6)


def test_trained_betas():
    betas = [0.1, 0.2, 0.3]
    found = read("DDIMScheduler", trained_betas=betas, num_train_timesteps=3)
    assert found.schedule.alpha**2 == pytest.approx(np.cumprod([0.9, 0.8, 0.7]))
    assert dtool.NetworkSpec(shape=(2,), **found.to_fields()).levels is not None


@pytest.mark.parametrize(
    ("kind", "config", "prediction", "time"),
    [
        ("DDIMScheduler", {"prediction_type": "sample"}, "x0", "index"),
        ("DDIMScheduler", {"prediction_type": "v_prediction"}, "v", "index"),
        ("FlowMatchEulerDiscreteScheduler", {}, "flow", "index+1"),
        (UNIPC, {"prediction_type": "flow_prediction", "use_flow_sigmas": True}, "flow", "index+1"),
        ("EDMEulerScheduler", {"sigma_data": 0.6}, "edm:sigma_data=0.6", "log-sigma/4"),
        ("CMStochasticIterativeScheduler", {}, "x0", "sigma"),
    ],
)
def test_predictions(kind, config, prediction, time):
    found = read(kind, **config)
    assert (found.prediction, found.time) == (prediction, time)
    assert dtool.NetworkSpec(shape=(2,), **found.to_fields()).time == time


@pytest.mark.parametrize(
    ("config", "fields"),
    [
        ({}, (True, 1.0, None, None)),
        ({"clip_sample": False}, (False, 1.0, None, None)),
        ({"clip_sample_range": 2.5}, (True, 2.5, None, None)),
        ({"thresholding": True}, (True, 1.0, None, None)),
        ({"thresholding": True, "sample_max_value": 1.5, "clip_sample_range": 2}, (True, 1.0, 0.995, 1.5)),
    ],
)
def test_clipping(config, fields):
    """sample_max_value is 1 by default, and thresholding up to 1 is clipping."""
    found = read("DDIMScheduler", **config)
    assert (found.clip, found.clip_range, found.threshold, found.threshold_max) == fields
    spec = dtool.NetworkSpec(shape=(2,), **found.to_fields())
    assert spec.clip_bounds == (-found.clip_range, found.clip_range)


def test_classes_that_know_the_key_and_do_not_clip():
    assert not read("TCDScheduler", clip_sample=True).clip
    assert not read(EULER, clip_sample=True).clip


@pytest.mark.parametrize(
    ("kind", "config", "cause"),
    [
        (EULER, {"use_karras_sigmas": True, "use_beta_sigmas": True}, "are both set"),
        (MULTI, {"algorithm_type": "dpmsolver"}, "cannot step to final_sigmas_type zero"),
        (MULTI, {"prediction_type": "flow_prediction"}, "use_flow_sigmas is not set"),
        ("DDIMScheduler", {"beta_start": 0.1}, "beta_start is above beta_end"),
        ("DDIMScheduler", {"trained_betas": [0.1, 0.2]}, "2 trained_betas for 1000"),
        ("FlowMatchEulerDiscreteScheduler", {"use_dynamic_shifting": True, "base_image_seq_len": 5000}, "not below"),
    ],
)
def test_contradictions(kind, config, cause):
    with pytest.raises(DtoolError, match="contradicts itself") as error:
        read(kind, **config)
    assert cause in str(error.value)
    assert "mend the config" in error.value.hint


def test_a_consistency_model_at_its_least_noise_is_the_identity():
    x, sigma = np.random.default_rng(0).standard_normal((2, 3)), np.full(2, 0.002)
    wrapped = ConsistencyBoundary(0.5, 0.002).wrap(lambda x, t: 7 + t.reshape(-1, 1))
    assert wrapped(x, sigma) == pytest.approx(x)
    assert NegatedOutput().wrap(lambda x, t: x)(x, 0) == pytest.approx(-x)
