"""dtool.adopt: objects and functions, what it refuses, and its plans without their library."""

import subprocess
import sys
import textwrap
from itertools import pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import dtool  # noqa: E402
from dtool.plan.linear_map import unroll  # noqa: E402

BLOCK = """
    import sys
    class Block:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in ("torch", "diffusers", "k_diffusion"):
                raise ModuleNotFoundError(name)
    sys.meta_path.insert(0, Block())
"""


def euler(model, x, sigmas, extra_args=None, callback=None, disable=None, *, stretch=1.0):
    """Euler's method in k-diffusion's form."""
    for now, to in pairwise(sigmas):
        x = x + stretch * (to - now) * (x - model(x, now * x.new_ones(len(x)))) / now
    return x


def test_a_function_of_ones_own():
    plan = dtool.adopt(euler, steps=8, schedule="cosine", spacing="karras")
    own = dtool.plan("euler@cosine/karras", steps=8)
    assert plan.rows == 8
    assert plan.alpha_bar == pytest.approx(own.alpha_bar, rel=1e-9)
    assert plan.time == pytest.approx(own.time, abs=1e-9)
    net = dtool.network(lambda x, t: 0.2 * x, shape=(2,), schedule="cosine")
    assert dtool.sample(net, plan, n=3).x0 == pytest.approx(dtool.sample(net, own, n=3).x0, rel=1e-5)


def test_sigmas_of_ones_own_and_options():
    plan = dtool.adopt(euler, sigmas=[10.0, 3.0, 1.0, 0.0], stretch=0.5)
    assert plan.sigma.tolist() == [10, 3, 1]
    assert plan.init == 10
    assert plan.recipe.endswith("test_adopt:euler:stretch=0.5")
    assert plan.a.tolist() == pytest.approx([1 - 0.5 * 0.7, 1 - 0.5 * 2 / 3, 0.5])


@pytest.mark.parametrize(
    ("source", "options", "why"),
    [
        (3, {}, "3 is no sampler"),
        (euler, {"steps": 0}, "steps=0 is not a number of steps"),
        (euler, {"eta": 1.0}, "has no option 'eta'"),
        (euler, {"sigmas": [1.0, 2.0]}, "do not fall"),
        (euler, {"sigmas": [1.0, 0.5], "steps": 2}, "sigmas are given, and steps"),
        (euler, {"schedule": "kosine"}, "no scheduler 'kosine'"),
        (lambda model, x: x, {}, r"takes \(model, x\)"),
        (lambda model, x, sigmas: x, {}, "makes no network call"),
        (lambda model, x, sigmas: model(x, sigmas[:1]).abs(), {}, "is not linear: x after network call 1"),
    ],
)
def test_what_is_refused(source, options, why):
    with pytest.raises(dtool.UsageError, match=why):
        dtool.adopt(source, **options)


def test_a_scheduler_has_its_own_grid_and_options():
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.DDIMScheduler()
    with pytest.raises(dtool.UsageError, match="has levels of its own"):
        dtool.adopt(scheduler, schedule="cosine")
    with pytest.raises(dtool.UsageError, match="no option 'etta'") as error:
        dtool.adopt(scheduler, etta=1.0)
    assert "did you mean eta" in error.value.hint
    assert scheduler.num_inference_steps is None  # it is left as it was
    plan = dtool.adopt(scheduler, steps=4, eta=0.5)
    assert plan.recipe == "diffusers:DDIMScheduler:eta=0.5"
    assert plan.draws == 3


def test_a_saved_plan_runs_without_its_library(tmp_path):
    pytest.importorskip("diffusers")
    plan = dtool.plan("diffusers:UniPCMultistepScheduler:solver_order=3", steps=6)
    file = tmp_path / "plan.json"
    file.write_text(plan.to_json())
    code = f"""
    import numpy as np, dtool
    net = dtool.network(lambda x, t: np.tanh(x) * 0.3, shape=(2, 3), schedule="linear")
    plan = dtool.Plan.from_json(open({str(file)!r}).read())
    print(plan.hash, dtool.sample(net, plan, n=2, seed=1).x0.sum())
    try:
        dtool.plan(plan.recipe)
    except dtool.UsageError as error:
        print(error, "|", error.hint)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(BLOCK) + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    first, last = done.stdout.strip().splitlines()
    assert first.split()[0] == plan.hash
    assert last.startswith("torch is not installed, which samplers of diffusers need | pip install")


def step_as_comfyui(h, *before):
    """The weights of ComfyUI's ipndm_v with max_order=3, of a step h and the steps before it, the newest first."""
    ratios = [h / one for one in before[:1]] or [0.0]
    weights = [1 + ratios[0] / 2, -ratios[0] / 2, 0.0]
    if len(before) > 1:
        one, two = before[:2]
        bracket = (1 - h / (3 * (h + one)) * (h * (h + one)) / (one * (one + two))) / 2
        weights = [weights[0] + bracket, weights[1] - (1 + one / two) * bracket, bracket * one / two]
    return weights


def ipndm_v(model, x, sigmas, extra_args=None, callback=None, disable=None):
    history, steps = [], []
    for now, to in pairwise(sigmas):
        image = model(x, now * x.new_ones(len(x)))
        history = [(x - image) / now, *history][:3]
        weights = step_as_comfyui(float(to - now), *steps)
        x = image if to == 0 else x + (to - now) * sum(w * d for w, d in zip(weights, history, strict=False))
        steps = [float(to - now), *steps]
    return x


def test_comfyui_s_variable_steps_are_not_ours():
    """What `dtool samplers ipndm_v` says: another third weight on unequal steps, and the same one on equal steps."""
    for sigmas, most in (([14.6, 9.0, 5.0, 2.5, 1.0, 0.3], None), ([5.0, 4.0, 3.0, 2.0, 1.0], 1e-12)):
        own = dtool.plan.compile(dtool.get_sampler("ipndm:variable=true,order=3"),
                                 [dtool.plan.Point(1.0, sigma) for sigma in sigmas], prediction="x0")  # fmt: skip
        one, two = (unroll(plan)[0] for plan in (dtool.adopt(ipndm_v, sigmas=sigmas), own))
        apart = np.abs(one - two).max()
        assert apart < most if most else apart > 0.05
