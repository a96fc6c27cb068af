"""Messages that are true, and remedies that work: what users meet with foreign files, modules, plans and streams."""

import json
import subprocess
import sys

import foreign as make
import numpy as np
import pytest
from commandline import failed, plain_environment, ran
from onnx import TensorProto, helper, numpy_helper

import dtool
from dtool.errors import DtoolError, UsageError, closest, did_you_mean
from dtool.plan import Plan
from dtool.plugins.registrar import NamedRecipe, Provider
from dtool.plugins.registry import registry
from dtool.schedulers.schedule import from_betas, from_lam

SHAPE = (1, 4, 4)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


# ---------------------------------------------------------------- foreign checkpoints


def test_a_foreign_checkpoint_does_not_say_what_it_was_trained_for(capsys, folder):
    torch = pytest.importorskip("torch")
    torch.save({"conv.weight": torch.zeros(2, 2)}, folder / "weights.pt")
    torch.save(torch.nn.Linear(2, 2), folder / "module.pt")
    flags = ("--schedule", "linear", "--prediction", "eps")
    for name, cause in (("weights.pt", "not a checkpoint of dtool"), ("module.pt", "would run code")):
        result = ran(capsys, "sample", name, *flags)
        failed(result, 1, cause, "package.module:factory, or export it to ONNX")
        assert "says itself" not in result.err
        with pytest.raises(DtoolError, match=cause):
            dtool.export(name, "out.onnx", plan="ddim", spec={"schedule": "linear", "prediction": "eps"})


# ---------------------------------------------------------------- foreign ONNX files


def test_bench_knows_what_a_foreign_file_is_told(capsys, folder):
    make.saved(make.network(), folder)
    quick = ("--steps", "1", "--rounds", "1", "--batch", "1", "--json")
    result = ran(capsys, "bench", "foreign.onnx", "ddim", "--schedule", "linear", "--prediction", "eps", *quick)
    assert result.code == 0, result.err
    assert "does not say" not in result.err + json.dumps(json.loads(result.out)["skipped"])


def test_bench_takes_a_closed_form(capsys):
    result = ran(capsys, "bench", "gmm:d=2", "--steps", "1", "--rounds", "1", "--batch", "1", "--json")
    assert result.code == 0, result.err


def baked():
    """A network that says that it takes any batch, and whose graph takes one image."""
    weights = [numpy_helper.from_array(np.array([1, *SHAPE]), "one")]
    nodes = [helper.make_node("Reshape", ["x", "one"], ["y"])]
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *SHAPE]),
        helper.make_tensor_value_info("t", TensorProto.FLOAT, ["batch"]),
    ]
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", *SHAPE])
    return make.model(nodes, inputs, [out], weights)


def test_a_baked_batch_is_told_what_works(capsys, folder):
    make.saved(baked(), folder)
    call = (
        "sample",
        "foreign.onnx",
        "--schedule",
        "linear",
        "--prediction",
        "eps",
        "--steps",
        "2",
        "-n",
        "2",
        "--clip",
    )
    failed(ran(capsys, *call), 1, "takes one image at a time", "--batch-size 1 (batch_size=1)")
    result = ran(capsys, *call, "--batch-size", "1")
    assert result.code == 0, result.err


def test_a_learned_variance_can_be_said_on_the_command_line(capsys, folder):
    proto = make.network(doubled=True)
    proto.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "channels"
    make.saved(proto, folder)
    call = (
        "sample",
        "foreign.onnx",
        "--schedule",
        "linear",
        "--prediction",
        "eps",
        "--steps",
        "2",
        "-n",
        "1",
        "--clip",
    )
    failed(ran(capsys, *call), 1, "returned shape", "--learned-variance (learned_variance=True)")
    result = ran(capsys, *call, "--learned-variance")
    assert result.code == 0, result.err


# ---------------------------------------------------------------- suggestions


def test_no_suggestion_is_what_was_typed(monkeypatch, capsys):
    known = registry()
    own = dict(known.recipes._named)
    monkeypatch.setattr(known.recipes, "_named", own)
    known.recipes.add(NamedRecipe("Loop", "Loop", Provider("p", "1")))
    result = ran(capsys, "plan", "Loop")
    assert result.code == 1
    assert "recipe 'Loop' of p 1 is 'Loop', which cannot be had" in result.err
    assert "there is no sampler 'Loop'" in result.err
    assert "did you mean 'Loop'" not in result.err
    assert did_you_mean("abc", ["abc", "abd"]) == "did you mean abd?"
    assert did_you_mean("CAT", ["Cat", "cat"]) == "did you mean Cat?"
    assert did_you_mean("x", [f"name{i}" for i in range(100)]).endswith(" and 80 more")
    assert closest("x" * 10**6, ["xxxx"]) == []


def test_where_a_rule_is_wanted_no_whole_recipe_is_suggested():
    with pytest.raises(UsageError) as caught:
        dtool.sampler("Heun Karas")
    assert "Karras" not in caught.value.hint
    with pytest.raises(UsageError) as caught:
        dtool.plan("Heun Karas")
    assert dtool.plan(caught.value.hint.split("'")[1], steps=3).rows
    with pytest.raises(UsageError, match="name of a whole recipe, dpmpp-2m/karras"):
        dtool.sampler("DPM++ 2M Karras")


# ---------------------------------------------------------------- schedules


@pytest.mark.parametrize(
    ("lam", "coordinates", "cause"),
    [
        ([950, 0, -950], "vp", "sigma is 0 at step 0"),
        ([0, -800, -950], "vp", "alpha is 0 at step 1"),
        ([0, -950], "ve", "sigma is not a finite table: at step 1 it is larger"),
        ([950, -950], "flow", "sigma is 0 at step 0"),
        ([1, 2], "vp", "does not rise at every step of the schedule: from 0 to 1"),
        ([float("nan"), 1], "vp", "no number at step 0"),
        ([], "vp", r"shape \(0,\)"),
        ("x", "vp", "lam is no table"),
        ([2, 1], "zz", "no coordinates 'zz'"),
    ],
)
def test_a_table_of_levels_is_told_what_is_wrong_with_it(lam, coordinates, cause):
    with pytest.raises(UsageError, match=cause) as caught:
        from_lam(lam, coordinates)
    assert caught.value.hint
    assert "beta" not in str(caught.value) + caught.value.hint, "there are no betas"


def test_betas_are_told_in_which_direction():
    with pytest.raises(UsageError, match="there is 2") as caught:
        from_betas([0.1, 2])
    assert "smaller betas" in caught.value.hint
    with pytest.raises(UsageError, match=r"there is -0\.1") as caught:
        from_betas([-0.1])
    assert caught.value.hint == "use larger betas"


EXTREME = ("0", "-1", "1e-300", "0.005", "1e30", "1e308", "inf", "-inf", "nan", "", "x", "9" * 400)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", ["scheduler", "spacing"])
def test_extreme_options_are_refused_or_give_finite_levels(kind):
    tried = 0
    for entry in registry().schedulers if kind == "scheduler" else registry().spacings:
        fields = entry.load().model.model_fields
        needed = {name: "1" for name, field in fields.items() if field.is_required()}
        for name in fields.keys() - {"T", "base", "over"}:
            for value in EXTREME:
                tried += 1
                try:
                    made = getattr(dtool, {"scheduler": "schedule"}.get(kind, kind))(
                        entry.name, **needed | {name: value}
                    )
                    plan = dtool.plan("ddim", steps=1 if kind == "scheduler" and made.T == 1 else 2, **{kind: made})
                except UsageError:
                    continue
                assert np.isfinite(plan.alpha).all()
    assert tried > 500


# ---------------------------------------------------------------- plans


def changed(**fields):
    data = json.loads(dtool.plan("ddim", steps=2).to_json())
    return json.dumps(data | fields)


GOOD = dtool.plan("ddim", steps=2).to_json()


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "5", "[]", "{}", "[" * 100_000, '{"a":' * 100_000, "1" * 5000, '{"format": ' + "1" * 400 + "}",
        '{"format": true}', '{"format": 2, "format": 2}', '{"format": 99}', b"\xff\xfe", None, 5, [], "\x00",
        changed(alpha=[float("nan"), 1]), changed(alpha=[float("inf"), 1]), changed(alpha="x"), changed(alpha=5),
        changed(alpha=[True, False]), changed(alpha=["1", "2"]), changed(alpha=[[1], [2]]), changed(alpha=[1]),
        changed(alpha=[int("9" * 400), 1]), changed(b=[[1], [1, 2]]), changed(b=[1, 2]), changed(init="1"),
        changed(init=None), changed(recipe=5), changed(recipe="\ud800"),
        changed(recipe="x" * 20_000), changed(basis="y"), changed(prediction=None), changed(inverse="no"),
        changed(step_end=[1, 1]), changed(save=[0.5, 1]), changed(extra=1), changed(t=[float("inf"), 0]),
        GOOD.replace('"alpha"', '"alpah"'), GOOD[:-3], GOOD + GOOD,
    ],
)  # fmt: skip
def test_what_is_no_plan_is_refused_in_a_line(text):
    with pytest.raises(DtoolError) as caught:
        Plan.from_json(text)
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


def test_a_plan_is_read_from_text_or_bytes():
    plan = dtool.plan("dpmpp-2m-sde@cosine/karras", steps=7)
    assert Plan.from_json(plan.to_json()) == plan
    assert Plan.from_json(plan.to_json().encode()).hash == plan.hash
    assert Plan.from_json(json.dumps(json.loads(plan.to_json()))).hash == plan.hash
    whole = json.loads(GOOD)
    whole["c"] = [0 for _ in whole["c"]]  # as JavaScript writes 0.0
    assert Plan.from_json(json.dumps(whole)).hash == dtool.plan("ddim", steps=2).hash


# ---------------------------------------------------------------- streams


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/dev/full is Linux's")
@pytest.mark.parametrize(
    ("command", "redirection", "code", "said"),
    [
        ("plan ddim --steps 2 --json", "> /dev/full", 1, "No space left on device"),
        ("plan ddim --steps 2", ">&-", 1, "stdout is closed"),
        ("--help", "> /dev/full", 1, "No space left on device"),
        ("--version", "> /dev/full", 1, "No space left on device"),
        ("plan ddim --steps 2 --json", "2>&- | wc -c", 0, ""),
        ("nonsense", "2> /dev/full", 2, ""),
        ("plan ddim --steps 2", "> /dev/full 2>&-", 1, ""),
        ("plan ddim --steps 2", "<&-", 0, "2 steps"),
    ],
)
def test_what_cannot_be_printed_is_told(command, redirection, code, said):
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m dtool {command} {redirection}"],
        capture_output=True, text=True, env=plain_environment(), timeout=120,
    )  # fmt: skip
    assert done.returncode == code, done
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


# ---------------------------------------------------------------- functions and modules


class Output:
    """What diffusers' modules return."""

    def __init__(self, sample):
        self.sample = sample


def drawn(fn, **more):
    return dtool.sample(dtool.network(fn, shape=(1, 2, 2), **more), "ddim", n=2, steps=2).x0


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_outputs_that_hold_the_prediction_are_taken(backend):
    if backend == "torch":
        pytest.importorskip("torch")
    plain = drawn(lambda x, t: 0.5 * x, backend=backend)
    for wrapped in (
        lambda x, t: Output(0.5 * x),
        lambda x, t: (0.5 * x,),
        lambda x, t: (0.5 * x, t),
        lambda x, t: [0.5 * x],
    ):
        np.testing.assert_array_equal(drawn(wrapped, backend=backend), plain)


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize(
    ("fn", "cause"),
    [
        (lambda x, t: None, "returned None"),
        (lambda x, t: "s", "returned a str"),
        (lambda x, t: 5, "returned an int"),
        (lambda x, t: {"a": x}, "returned a dict"),
        (lambda x, t: (None, x), "returned a tuple"),
        (lambda x, t: x > 0, "numbers of type bool"),
        (lambda x, t: x * 1j, "numbers of type complex64"),
        (lambda x, t: x[0], "returned shape"),
        (lambda x, t: 1 / 0, r"own code failed \(ZeroDivisionError: division by zero\)"),
    ],
)
def test_others_are_named(fn, cause, backend):
    if backend == "torch":
        pytest.importorskip("torch")
    with pytest.raises(DtoolError, match=cause) as caught:
        drawn(fn, backend=backend)
    assert caught.value.hint
    if "ZeroDivisionError" in str(caught.value):
        assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_function_around_a_module_is_told_to_ask_for_tensors():
    torch = pytest.importorskip("torch")
    net = torch.nn.Conv2d(1, 1, 1)
    for fn in (lambda x, t: net(x), lambda x, t: x.to("cpu"), lambda x, t: net.weight * x):
        with pytest.raises(DtoolError, match="calls PyTorch") as caught:
            drawn(fn)
        assert "backend='torch'" in caught.value.hint
    assert drawn(lambda x, t: net(x), backend="torch").shape == (2, 1, 2, 2)
    assert drawn(lambda x, t: net(torch.from_numpy(x))).shape == (2, 1, 2, 2)
    with pytest.raises(DtoolError, match="returned an ndarray, not a tensor"):
        drawn(lambda x, t: x.numpy(), backend="torch")
    with pytest.raises(DtoolError, match="on meta for x on cpu"):
        drawn(lambda x, t: x.to("meta"), backend="torch")


def test_a_module_of_diffusers_simply_works(folder):
    diffusers = pytest.importorskip("diffusers")
    block = {"block_out_channels": (8,), "layers_per_block": 1, "norm_num_groups": 4}
    module = diffusers.UNet2DModel(
        sample_size=8, in_channels=1, out_channels=1, down_block_types=("DownBlock2D",),
        up_block_types=("UpBlock2D",), num_class_embeds=3, **block,
    ).eval()  # fmt: skip
    net = dtool.network(module, shape=(1, 8, 8), classes=2)
    assert np.isfinite(dtool.sample(net, "ddim", n=2, steps=2, guidance=2).x0).all()


@pytest.mark.parametrize("device", ["meta", "xla", "cpu:3", "CUDA", "", "cuda:x", "cpu "])
def test_devices_that_are_none(device, capsys):
    torch = pytest.importorskip("torch")
    with pytest.raises(UsageError, match="there is no device"):
        dtool.network(torch.nn.Identity(), shape=(2,), device=device)
    failed(ran(capsys, "sample", "--device", device, "-n", "1"), 2, "there is no device", "auto, cpu or cuda")


def test_what_a_factory_chose_is_not_silently_another(capsys, folder):
    (folder / "own_net.py").write_text(
        "import dtool\ndef make():\n    return dtool.network(lambda x, t: x, shape=(2,))\n"
    )
    (folder / "failing_net.py").write_text(
        "import dtool\ndef fn(x, t):\n    assert False, 'no'\ndef make():\n    return dtool.network(fn, shape=(2,))\n"
    )
    for flags, hint in (
        (("--device", "cuda"), "leave out --device"), (("--backend", "torch"), "leave out --backend"),
        (("--time-limit", "3"), "leave out --time-limit"), (("--provider", "CPU"), "export it first"),
    ):  # fmt: skip
        failed(ran(capsys, "sample", "own_net:make", *flags), 2, "own_net:make runs on", hint)
    failed(ran(capsys, "sample", "failing_net:make"), 1, "own code failed (AssertionError: no)", "x is (B, *shape)")
