"""From an image to noise and back again."""

import numpy as np
import pytest

import dtool
from dtool.certify import grids
from dtool.certify.adopted import adopt
from dtool.certify.identities import distance
from dtool.errors import CompileError, UsageError
from dtool.plan import Recipe, plan, points_on
from dtool.plan import compile as compile_plan
from dtool.plan.reference import run_plan
from dtool.samplers import get_sampler
from dtool.schedulers import get_scheduler


def smooth(x, t):
    level = t.reshape(-1, *[1] * (x.ndim - 1)) / 1000
    return 0.6 * x + 0.2 * np.sin(x + level)


@pytest.mark.parametrize(("rounds", "missed"), [(0, 0.2), (1, 0.03), (4, 1e-4), (12, 1e-9)])
def test_there_and_back_again(rounds, missed):
    net = dtool.network(smooth, shape=(5,), schedule="linear", prediction="v", clip=True)
    image = np.random.default_rng(0).uniform(-0.8, 0.8, (3, 5))
    made = plan("ddim-inversion", rounds=rounds, steps=40, network=net)
    assert (made.rows, made.steps, made.inverse) == (40 * (1 + rounds), 40, True)
    up = dtool.sample(net, made, x=image, trace=True)
    back = dtool.sample(net, plan("ddim", steps=40, network=net), x=up.x0, clip=False).x0
    assert abs(back - image).max() < missed
    assert abs(back - image).max() > (missed / 100 if rounds < 12 else -1)
    np.testing.assert_array_equal(up.trace.x[0], image)


def test_the_inversions_grid_is_ddims_backwards():
    up, down = plan("ddim-inversion", steps=7), plan("ddim", steps=7)
    assert (up.alpha[0], up.sigma[0], up.init) == (1, 0, 1)
    assert up.t[1:].tolist() == down.t[:0:-1].tolist()
    assert up.time[0] == 0, "the image is shown at the first level"
    given = plan("ddim-inversion", points=[900, 500, 100])
    assert given.t[1:].tolist() == [100, 500]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("prediction", ["eps", "v", "flow"])
def test_an_image_is_no_level_outside_the_trained_ones(prediction):
    net = dtool.network(smooth, shape=(5,), schedule="cosine", prediction=prediction)
    out = dtool.sample(net, "ddim-inversion", steps=9, x=np.zeros((2, 5)))
    assert np.isfinite(out.x0).all()


def test_what_an_inversion_refuses():
    net = dtool.network(smooth, shape=(5,), clip=True)
    image = np.zeros((2, 5))
    with pytest.raises(UsageError, match="leads from an image") as error:
        dtool.sample(net, "ddim-inversion", n=2)
    assert "x=" in (error.value.hint or "")
    blind = dtool.network(smooth, shape=(5,), prediction="x0")
    with pytest.raises(CompileError, match="not finite") as error:
        dtool.sample(blind, "ddim-inversion", x=image)
    assert "end=0" in (error.value.hint or "")
    made = plan("ddim-inversion", steps=6, end=0, network=blind)
    assert np.isfinite(dtool.sample(blind, made, x=image).x0).all()
    with pytest.raises(CompileError, match="turns round"):
        compile_plan(get_sampler("ddim-inversion"), grids.two_pass_grid(8))


def test_the_network_may_be_told_where_x_goes():
    own, following = (plan(f"ddim-inversion:told={told}", steps=7) for told in ("own", "next"))
    assert own.t[1:].tolist() == following.t[:-1].tolist()
    assert (following.t[-1], following.time[-1]) == (999, 999)
    for name in ("alpha", "sigma", "a", "b"):
        np.testing.assert_array_equal(getattr(own, name), getattr(following, name))


@pytest.mark.parametrize("clip", [False, True])
def test_inversion_as_diffusers_does(clip):
    """Told the time of the level that x goes to; of a clipped image, ε as the network says it."""
    torch, diffusers = pytest.importorskip("torch"), pytest.importorskip("diffusers")
    theirs = diffusers.DDIMInverseScheduler(clip_sample=clip)
    theirs.set_timesteps(10)
    net = dtool.network(lambda x, t: smooth(x, t) * 2, shape=(5,), schedule="linear", clip=True)
    image = np.random.default_rng(1).uniform(-1, 1, (3, 5))
    x = torch.from_numpy(image)
    for t in theirs.timesteps:
        said = torch.from_numpy(2 * smooth(x.numpy(), np.full(3, float(t))))
        x = theirs.step(said, t, x, return_dict=False)[0]
    times = theirs.timesteps.tolist()[::-1]
    made = plan("ddim-inversion:told=next,use_clipped=false", points=times, network=net)
    ours = dtool.sample(net, made, x=image, clip=clip)
    assert ours.x0 == pytest.approx(x.numpy(), abs=1e-4)  # their table is float32
    plain = dtool.sample(net, made, x=image, clip=False)
    assert (np.abs(ours.x0 - plain.x0).max() > 0.1) == clip


@pytest.mark.parametrize("token", ["ddim-inversion:use_clipped=false", "ddim-inversion", "dpm-solver-inversion"])
def test_a_clipped_inversion_is_what_its_rows_say(token):
    """The loops against the plain reading of the rows, from the image itself on."""
    net = dtool.network(lambda x, t: smooth(x, t) * 2, shape=(5,), schedule="linear")
    made = plan(token, steps=6, network=net)
    image = np.random.default_rng(1).uniform(-1, 1, (3, 5))
    clip = lambda image: np.clip(image, -1, 1)  # noqa: E731
    wanted = run_plan(made, lambda x, t: net.fn(x, np.full(3, t)), image, clip=clip)
    ours = dtool.sample(net, made, x=image, clip=True)
    assert ours.x0 == pytest.approx(wanted, abs=1e-12)
    assert np.abs(ours.x0 - dtool.sample(net, made, x=image).x0).max() > 1e-3
    traced = dtool.sample(net, made, x=image, clip=True, trace=True)
    assert traced.x0 == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("order", [1, 2])
def test_multistep_inversion_is_the_table_of_diffusers(order):
    """Of order 3 diffusers' third term is half of what it has to be, as in its DPM-Solver downwards."""
    pytest.importorskip("diffusers")
    kind = "type=dpmsolver,solver_type=heun,lower_order_final=false"
    token = f"diffusers:DPMSolverMultistepInverseScheduler:solver_order={order},algorithm_{kind}"
    theirs = adopt(Recipe.parse(token), 10).plan
    end = points_on(get_scheduler("linear"), [999], 999)[0]
    ours = plan(f"dpm-solver-inversion:order={order}", points=[999, *theirs.t[:0:-1].tolist()], end=0)
    assert ours.t.tolist() == theirs.t.tolist()
    assert distance(ours, theirs, (end, end)) < 1e-9


def test_a_multistep_way_there_and_back_misses_less():
    net = dtool.network(smooth, shape=(5,), schedule="linear", prediction="v")
    image = np.random.default_rng(0).uniform(-0.8, 0.8, (3, 5))
    missed = {}
    for there, back in (("ddim-inversion", "ddim"), ("dpm-solver-inversion", "dpm-solver:order=2")):
        for steps in (40, 80):
            grid = {"points": np.linspace(999, 0, steps + 1)[:-1].tolist(), "end": 0, "network": net}
            noise = dtool.sample(net, plan(there, **grid), x=image).x0
            missed[back, steps] = abs(dtool.sample(net, plan(back, **grid), x=noise).x0 - image).max()
    assert max(missed["dpm-solver:order=2", steps] / missed["ddim", steps] for steps in (40, 80)) < 0.02


@pytest.mark.parametrize("token", ["ddim-inversion:told=next", *(f"dpm-solver-inversion:order={k}" for k in (1, 2, 3))])
def test_certificates_of_inversions(token):
    failed = [result for result in dtool.check(token) if result.status == "fail"]
    assert not failed
