"""Schedulers that are called in a way of their own: their plans beside diffusers' own pipelines and loops."""

from contextlib import ExitStack
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

import dtool  # noqa: E402
from dtool.bridges.adopt import make_adoption  # noqa: E402
from dtool.bridges.probe import replace_names  # noqa: E402
from dtool.run.clipping import Clipping  # noqa: E402
from dtool.run.loop import run  # noqa: E402
from tests.bridges.foreign_runs import Noise, difference, say  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")
SIZE = 3  # foreign_runs' arrays are (3, 2, 3, 3); pipelines of images draw (B, 3, size, size)


class Net(torch.nn.Module):
    """A network of a pipeline that is a function of x and of what it is told."""

    config = SimpleNamespace(sample_size=SIZE, in_channels=3)
    dtype, device = torch.float64, torch.device("cpu")

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x, t):
        """The output, as diffusers' networks wrap it."""
        return SimpleNamespace(sample=self.function(x, float(torch.as_tensor(t).reshape(-1)[0])))


class Draws(Noise):
    """Normal numbers of whatever shape is asked for, in the order in which they are drawn."""

    def draw(self, shape, *_, **__):
        """The next one."""
        made = torch.randn(tuple(shape), generator=self._generator, dtype=torch.float64)
        self.drawn.append(made)
        return made


def run_pipeline(pipeline, scheduler, function, **options):
    """(what the pipeline draws, its images as arrays) with this function for a network."""
    import sys

    noise = Draws(torch.float64)
    pipe = pipeline(unet=Net(function), scheduler=scheduler)
    pipe.set_progress_bar_config(disable=True)
    with ExitStack() as stack:
        for one in (pipe, scheduler):
            names = vars(sys.modules[type(one).__module__])
            stack.enter_context(replace_names(names, randn_tensor=noise.draw))
        made = pipe(output_type="np", **options).images
    return noise.drawn, np.asarray(made).transpose(0, 3, 1, 2)


def run_plan(made, predict, start, drawn, told):
    """What the plan makes of the same noises."""
    plan = made.plan
    mixed = [sum(float(w) * z for w, z in zip(row, drawn, strict=True)) for row in made.noises]
    noise = iter([float(c) * z for c, z in zip(plan.c[plan.c != 0], mixed, strict=True)])
    limit = None if made.bounds is None else Clipping(*made.bounds)
    return run(plan, lambda x, t: predict(x, float(t)), start, told.tolist(), noise, limit=limit)


@pytest.mark.parametrize("options", [{}, {"s_churn": 40.0, "s_noise": 1.0}, {"s_churn": 0.0}])
def test_karras_ve_is_its_pipeline(options):
    scheduler = diffusers.KarrasVeScheduler(sigma_max=8.0, **options)
    made = make_adoption(scheduler, steps=7)
    drawn, images = run_pipeline(
        diffusers.KarrasVePipeline,
        scheduler,
        lambda u, s: -torch.tanh(u) / (1 + s),
        batch_size=2,
        num_inference_steps=7,
    )
    predict = lambda x, s: (s / 2) * torch.tanh((x + 1) / 2) / (1 + s / 2)  # noqa: E731
    ends = run_plan(made, predict, made.plan.init * drawn[0], drawn[1:], made.plan.sigma)
    assert np.abs((ends / 2 + 0.5).clamp(0, 1).numpy() - images).max() < 1e-6
    assert images.std() > 0.01


def test_score_sde_ve_without_its_corrector_is_its_pipeline():
    scheduler = diffusers.ScoreSdeVeScheduler(correct_steps=0, sigma_max=20.0)
    made = make_adoption(scheduler, steps=9)
    drawn, images = run_pipeline(
        diffusers.ScoreSdeVePipeline, scheduler, lambda x, s: -torch.tanh(x) / s, batch_size=2, num_inference_steps=9
    )
    ends = run_plan(made, lambda x, _: torch.tanh(x), made.plan.init * drawn[0], drawn[1:], made.plan.sigma)
    assert np.abs(ends.clamp(0, 1).numpy() - images).max() < 1e-6
    assert images.std() > 0.01


@pytest.mark.parametrize(("eta", "clip"), [(0.0, True), (1.0, False)])
def test_repaint_of_nothing_known_is_its_pipeline(eta, clip):
    scheduler = diffusers.RePaintScheduler(eta=eta, clip_sample=clip)
    jumps = {"jump_length": 4, "jump_n_sample": 2}
    made = make_adoption(scheduler, steps=10, **jumps)
    shape = (1, 3, SIZE, SIZE)
    drawn, images = run_pipeline(
        diffusers.RePaintPipeline, scheduler, say, image=torch.zeros(shape, dtype=torch.float64),
        mask_image=torch.zeros(shape, dtype=torch.float64), num_inference_steps=10, eta=eta, **jumps,
    )  # fmt: skip
    ends = run_plan(made, say, drawn[0], drawn[1:], made.plan.time)
    assert np.abs((ends / 2 + 0.5).clamp(0, 1).numpy() - images).max() < 1e-5
    assert made.plan.rows > 10
    assert images.std() > 0.01


def test_score_sde_vp_in_its_loop():
    scheduler = diffusers.schedulers.ScoreSdeVpScheduler()
    made = make_adoption(scheduler, steps=200)
    noise = Noise(torch.float64)
    x = start = noise.draw()
    scheduler.set_timesteps(200)
    noise.drawn.clear()
    import sys

    with replace_names(vars(sys.modules[type(scheduler).__module__]), randn_tensor=noise.draw):
        for t in scheduler.timesteps:
            x, mean = scheduler.step_pred(say(x, 999 * float(t)), x, t)
    ends = run_plan(made, say, start, noise.drawn, 999 * scheduler.timesteps)
    assert difference(ends, mean) < 1e-6


def test_helios_in_one_stage():
    for scheduler in (
        diffusers.HeliosScheduler(stages=1), diffusers.HeliosScheduler(stages=1, scheduler_type="euler", shift=3.0),
    ):  # fmt: skip
        made = make_adoption(scheduler, steps=8)
        x = start = Noise(torch.float64).draw()
        scheduler.set_timesteps(8)
        for t in scheduler.timesteps:
            x = scheduler.step(say(x, float(t)), t, x, return_dict=False)[0]
        assert difference(run_plan(made, say, start, [], scheduler.timesteps), x) < 2e-6
    plan = dtool.plan("diffusers:HeliosDMDScheduler:stages=1", steps=12)
    assert (plan.rows, plan.history, plan.draws) == (12, 2, 0)  # the start's noise comes back from its images


def test_proteina_where_every_token_is_drawn():
    scheduler = diffusers.RFD4ProteinaScheduler(schedule_mode="log", noise_mode="tan", tsr_k=2.0, tsr_sigma=1.0)
    made = make_adoption(scheduler, steps=30)
    scheduler.set_timesteps(30)
    noise = Draws(torch.float64)
    x = start = torch.randn((2, 5, 3), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    import sys

    with replace_names(vars(sys.modules[type(scheduler).__module__]), randn_tensor=noise.draw):
        for t in scheduler.timesteps:
            x = scheduler.step(-say(x, 900 * float(t)), t, x, torch.ones(2, 5, dtype=torch.bool))[0]
    ends = run_plan(made, say, start, noise.drawn, 900 * scheduler.timesteps)
    assert difference(ends, x) < 1e-5


@pytest.mark.parametrize("kind", ["DDPMScheduler", "UnCLIPScheduler"])
def test_a_range_of_variances_that_the_network_chooses_in(kind):
    """Beside the class's own run, with what the network says of the variance different everywhere."""
    import sys

    scheduler = getattr(diffusers, kind)(variance_type="learned_range", clip_sample=False)
    made = make_adoption(scheduler, steps=6)
    assert made.plan.learned
    scheduler.set_timesteps(6)
    noise = Noise(torch.float64)
    x = start = noise.draw()
    noise.drawn.clear()
    times = [*scheduler.timesteps, None]
    own = {} if kind == "DDPMScheduler" else {"prev_timestep": 0}
    with replace_names(vars(sys.modules[type(scheduler).__module__]), randn_tensor=noise.draw):
        for t, after in pairwise(times):
            output = torch.cat([say(x, float(t)), torch.sin(3 * x)], dim=1)
            x = scheduler.step(output, t, x, return_dict=False, **dict.fromkeys(own, after))[0]
    ends, drawn = start, iter(noise.drawn)
    plan = made.plan
    for i in range(plan.rows):
        said, share = say(ends, float(scheduler.timesteps[i])), (torch.sin(3 * ends) + 1) / 2
        image = plan.c_skip[i] * ends + plan.c_out[i] * said
        entry = image if plan.images[i] else plan.m_x[i] * ends + plan.m_f[i] * said
        ends = plan.a[i] * ends + plan.b[i, 0] * entry
        if plan.c[i]:
            ends = ends + plan.c_low[i] ** (1 - share) * plan.c[i] ** share * next(drawn)
    assert difference(ends, x) < 1e-6


def test_learned_variances_are_dtool_s_own_rule():
    plan = dtool.plan("diffusers:DDPMScheduler:variance_type=learned_range,clip_sample=false", steps=10)
    own = dtool.plan("ddpm:sigma=learned/leading:compat=diffusers", steps=10)
    assert plan.c[:-1] == pytest.approx(own.c[:-1], rel=1e-5)
    assert plan.c_low[:-1] == pytest.approx(own.c_low[:-1], rel=1e-4)


@pytest.mark.parametrize("options", [{}, {"prediction_type": "v_prediction"}, {"set_alpha_to_one": False}])
def test_an_inversion_that_clips(options):
    scheduler = diffusers.DDIMInverseScheduler(**options)
    made = make_adoption(scheduler, steps=8)
    assert made.bounds == (-1.0, 1.0)
    assert made.plan.inverse
    scheduler.set_timesteps(8)
    x = start = 1.5 * Noise(torch.float64).draw()  # of which much is clipped
    for t in scheduler.timesteps:
        x = scheduler.step(say(x, float(t)), int(t), x, return_dict=False)[0]
    assert difference(run_plan(made, say, start, [], scheduler.timesteps), x) < 1e-6


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("PiflowScheduler", "is no table: each network call answers with several predictions"),
        ("HeliosScheduler", "after the last network call of each of 3 stages its pipeline enlarges x"),
        ("HeliosDMDScheduler", "after the last network call of each of 3 stages its pipeline enlarges x"),
        ("ScoreSdeVeScheduler", "is not linear: x after network call 1 is no sum of .* \\(norm of it\\)"),
        ("DDPMScheduler:variance_type=learned", "at network call 1 the network says the variance of the noise itself"),
        ("HeliosScheduler:stages=1,solver_order=3", "gives NaN or infinity after network call 3"),
        ("DDIMInverseScheduler:prediction_type=sample", "gives NaN or infinity after network call 1"),
        ("RePaintScheduler:eta=1.0", "at most 6000 together become a plan"),
    ],
)
def test_the_rest_is_refused_with_the_call_and_the_reason(word, why):
    with pytest.raises(dtool.UsageError, match=why) as error:
        dtool.plan(f"diffusers:{word}", steps=100 if "RePaint" in word else 5)
    assert "\n" not in str(error.value)
    assert error.value.hint
