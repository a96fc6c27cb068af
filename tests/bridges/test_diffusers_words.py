"""Words of diffusers' schedulers in recipes: names, options, folders, and what is refused."""

import json

import pytest

pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

import dtool  # noqa: E402
from dtool.bridges.adopt import make_adoption  # noqa: E402
from dtool.plan import Recipe  # noqa: E402
from dtool.util.file_references import contain_names  # noqa: E402

MULTI = "diffusers:DPMSolverMultistepScheduler"


@pytest.mark.parametrize(
    "token",
    [
        MULTI,
        f"{MULTI}:solver_order=3,use_karras_sigmas=true",
        "diffusers:DDIMScheduler:eta=0.5@cosine",
        f"{MULTI}:solver_type=heun@sigmoid",
    ],
)
def test_a_word_round_trips(token):
    assert str(Recipe.parse(token)) == token
    plan = dtool.plan(token, steps=4)
    assert plan.recipe == token
    assert plan.sampler == token.partition("@")[0].partition("~")[0]
    assert plan.cite == f"diffusers {diffusers.__version__}"


def test_it_takes_guidance():
    plan = dtool.plan(f"{MULTI}~3@-1.0:0.5", steps=8)
    assert plan.scale == 3
    assert set(plan.guided) == {0.0, 1.0}


def test_the_word_is_the_object():
    own = make_adoption(diffusers.DPMSolverMultistepScheduler(solver_order=3), steps=6).plan
    assert dtool.plan(f"{MULTI}:solver_order=3", steps=6) == own
    assert own.schedule == "linear"
    assert own.time.tolist() == diffusers_times(diffusers.DPMSolverMultistepScheduler(), 6)


def diffusers_times(scheduler, steps):
    scheduler.set_timesteps(steps)
    return scheduler.timesteps.tolist()


def test_it_runs_on_the_networks_schedule_with_the_times_of_the_class():
    net = dtool.network(lambda x, t: 0.1 * x, shape=(2,), schedule="cosine", prediction="v")
    plan = dtool.plan(MULTI, steps=5, network=net)
    theirs = diffusers.DPMSolverMultistepScheduler(beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction")
    assert plan.time.tolist() == diffusers_times(theirs, 5)
    assert (plan.trained_hash, plan.prediction) == (net.schedule.hash, "v")
    assert plan.alpha_bar == pytest.approx(make_adoption(theirs, steps=5).plan.alpha_bar, rel=1e-3, abs=1e-9)


def test_arguments_of_its_grid_are_options_too():
    word = "diffusers:FlowMatchEulerDiscreteScheduler:use_dynamic_shifting=true,mu=0.9"
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    assert dtool.plan(word, steps=5).sigma.tolist() == make_adoption(scheduler, steps=5, mu=0.9).plan.sigma.tolist()


@pytest.mark.parametrize(
    ("word", "why", "hint"),
    [
        ("diffusers:DPMSolverMultistepSchedular", "no scheduler 'DPMSolverMultistepSchedular'", "did you mean"),
        ("diffusers:os", "no scheduler 'os'", "known"),
        ("diffusers:", "diffusers: names no sampler", "diffusers:DPMSolverMultistepScheduler"),
        ("diffusers:DDIMScheduler:etaa=1", "no option 'etaa'", "did you mean eta"),
        ("diffusers:DDIMScheduler:eta=high", "eta='high' is refused", "number"),
        ("diffusers:DDIMScheduler/karras", "takes no spacing", "leave out /karras"),
        ("diffusers:DDIMScheduler:beta_end=0.01@cosine", "is told a schedule, and beta_end too", "leave out"),
        ("diffusers:DDPMScheduler:variance_type=fixed_large_log", "NaN or infinity after network call", "options"),
        ("diffusers:DDPMScheduler:variance_type=learned", "says the variance of the noise itself", "ddpm"),
        ("diffusers:DDPMScheduler:thresholding=true", "not linear: x after network call 1", "add and scale"),
        ("diffusers:UniPCMultistepScheduler:solver_type=bh1", "NaN or infinity after network call", "other options"),
        ("diffusers:DDIMScheduler:beta_schedule=bent", "is refused by diffusers: NotImplementedError", "other options"),
        ("diffusers:VQDiffusionScheduler", "no sampler of Gaussian diffusion", "dtool samplers"),
        ("diffusers:PiflowScheduler", "answers with several predictions", "euler@flow"),
        ("diffusers:ScoreSdeVeScheduler", "(norm of it)", "add and scale"),
        ("diffusers:./nowhere/scheduler", "no scheduler_config.json in nowhere/scheduler", "folder"),
    ],
)  # fmt: skip
def test_what_is_refused_says_why(word, why, hint):
    with pytest.raises(dtool.UsageError) as error:
        dtool.plan(word, steps=5)
    assert why in str(error.value)
    assert hint in error.value.hint


def test_it_has_levels_of_its_own():
    for more in ({"points": [900, 500]}, {"end": 5.0}, {"spacing": "karras"}):
        with pytest.raises(dtool.UsageError, match=r"has levels of its own|takes no spacing"):
            dtool.plan(MULTI, **more)


def test_it_begins_late_if_it_is_of_one_step():
    whole = dtool.plan("diffusers:DDIMScheduler", steps=10)
    late = dtool.plan("diffusers:DDIMScheduler", steps=10, strength=0.5)
    assert late.time.tolist() == whole.time[5:].tolist()
    with pytest.raises(dtool.UsageError, match="cannot begin late"):
        dtool.plan(MULTI, steps=10, strength=0.5)


@pytest.fixture
def folder(tmp_path):
    """A pipeline's folder with a scheduler in it."""
    diffusers.DPMSolverMultistepScheduler(solver_order=3, beta_schedule="scaled_linear").save_pretrained(
        tmp_path / "scheduler"
    )
    return tmp_path


def test_a_folder_is_read(folder):
    own = make_adoption(
        diffusers.DPMSolverMultistepScheduler(solver_order=3, beta_schedule="scaled_linear"), steps=5
    ).plan
    for place in (folder, folder / "scheduler"):
        plan = dtool.plan(f"diffusers:{place}", steps=5)
        assert plan.recipe == f"diffusers:{place}"
        assert plan.a.tolist() == own.a.tolist()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "cannot be read"), ("[]", "does not say what scheduler"),
        ('{"_class_name": "Popen"}', "no scheduler 'Popen'"),
        ('{"_class_name": "subprocess.run"}', "no scheduler"),
        ('{"_class_name": "DDIMScheduler", "num_train_timesteps": 1e12}', "num_train_timesteps is"),
    ],
)  # fmt: skip
def test_a_folder_that_holds_something_else(folder, text, why):
    (folder / "scheduler" / "scheduler_config.json").write_text(text)
    with pytest.raises(dtool.UsageError, match=why):
        dtool.plan(f"diffusers:{folder}/scheduler", steps=5)


def test_code_beside_a_config_is_not_run(folder):
    config = folder / "scheduler" / "scheduler_config.json"
    values = json.loads(config.read_text()) | {"auto_map": {"DDIMScheduler": "evil.Evil"}, "trust_remote_code": True}
    config.write_text(json.dumps(values))
    (folder / "scheduler" / "evil.py").write_text("raise SystemExit('it ran')")
    assert dtool.plan(f"diffusers:{folder}/scheduler", steps=5).rows == 5


def test_a_file_names_no_folder(folder):
    with contain_names("app.onnx"), pytest.raises(dtool.UsageError, match=r"app\.onnx names another file"):
        Recipe.parse(f"diffusers:{folder}/scheduler")
