"""A sampler's file with conditions draws what the host's loop draws, guided and not, in any batch."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from dtool.models.conditions import Condition, ConditionPair
from dtool.onnx.sampler_inputs import SamplerInputs, name_without
from dtool.run.sampler_conditions import feed_conditions

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
from tests.support.attending_networks import EDGES, MASK, SIZE, TEXT, make_attending, make_conditions  # noqa: E402

FIXED = Condition(name="text", shape=(5, 8))
PLAN, STEPS = "dpmpp-2m/karras", 6
KINDS = {"all": ((TEXT, MASK, EDGES, SIZE), 3), "required": ((FIXED,), 0), "mixed": ((FIXED, EDGES), 0)}
pytestmark = pytest.mark.filterwarnings("ignore::dtool.plan.ClampWarning")


@pytest.fixture(scope="module", params=KINDS)
def made(request, tmp_path_factory):
    """A network, and the file of a sampler over it."""
    conditions, classes = KINDS[request.param]
    module, spec = make_attending(*conditions, classes=classes, clip=True)
    folder = tmp_path_factory.mktemp(request.param)
    dtool.export((module, spec), folder / "net.onnx", check=False)
    report = dtool.export(folder / "net.onnx", folder / "app.onnx", plan=PLAN, steps=STEPS)
    host, file = dtool.load(module, spec=spec, device="cpu"), dtool.load(folder / "app.onnx", device="cpu")
    return SimpleNamespace(host=host, file=file, report=report, folder=folder, spec=spec, name=request.param)


def told(made, count, seed=0, length=5):
    names = {one.name for one in made.spec.conditions}
    return {name: array for name, array in make_conditions(count, length, seed).items() if name in names}


def close(one, other):
    return np.abs(one - other).max() <= 1e-4 * np.abs(one).max()


@pytest.mark.parametrize("guidance", [0, 1, 5])
def test_the_file_draws_what_the_host_draws(made, guidance):
    options = {"conditions": told(made, 5), "guidance": guidance, "n": 5, "seed": 7, "trace": True}
    if guidance != 1:
        options["without"] = told(made, 5, seed=1)
    one, other = (dtool.sample(net, made.file.plan, **options) for net in (made.host, made.file))
    assert close(one.x0, other.x0)
    assert close(one.trace.x, other.trace.x)
    assert np.abs(one.x0).max() < 50
    changed = dtool.sample(made.file, **options | {"conditions": told(made, 5, seed=3)}).x0
    assert guidance == 0 or np.abs(changed - other.x0).max() > 1e-3


def test_what_guidance_compares_with_by_default(made):
    """The null values where there are some; what has none stays as it is told."""
    options = {"conditions": told(made, 3), "guidance": 3, "n": 3}
    if made.name == "required":
        for net in (made.host, made.file):
            with pytest.raises(UsageError, match="compares with no condition"):
                dtool.sample(net, made.file.plan, **options)
        return
    one, other = (dtool.sample(net, made.file.plan, **options).x0 for net in (made.host, made.file))
    assert close(one, other)


def test_another_program_gives_one_for_all_or_one_each(made):
    session = ort.InferenceSession(made.folder / "app.onnx")
    ids = np.arange(3, dtype=np.uint64)
    feed = {"ids": ids} | ({"label": np.array([0, 1, -1])} if made.spec.classes else {})
    alike = {name: array[:1] for name, array in told(made, 1).items()}
    required = {f"{name}_without": array for name, array in alike.items() if made.name == "required"}
    [one] = session.run(["images"], feed | alike | required)
    each = {name: np.repeat(array, 3, axis=0) for name, array in alike.items()}
    [other] = session.run(["images"], feed | each | required)
    assert np.array_equal(one, other)
    with pytest.raises(Exception, match=r"(?i)out of (data )?bounds"):
        session.run(["images"], feed | {name: array[:2] for name, array in each.items()} | required)


@pytest.mark.parametrize("guidance", [1, 4])
def test_an_image_is_the_same_in_any_batch(made, guidance):
    conditions, without = told(made, 9), told(made, 9, seed=1)
    options = {"guidance": guidance, "labels": 1 if made.spec.classes else None}

    def draw(index, **more):
        taken = [{name: array[index] for name, array in each.items()} for each in (conditions, without)]
        own = {"conditions": taken[0]} | ({"without": taken[1]} if guidance != 1 else {})
        return dtool.sample(made.file, ids=list(index), **own, **options, **more).x0

    many = draw(range(9))
    assert np.array_equal(draw([4]), many[4:5])
    assert np.array_equal(draw([8, 2, 4]), many[[8, 2, 4]])


def test_frozen_and_with_named_inputs(made):
    for form in ({"freeze": True, "guidance": 2.0}, {"inputs": ["seed", "guidance", "without"]}):
        dtool.export(made.folder / "net.onnx", made.folder / "form.onnx", plan=PLAN, steps=STEPS, check=False, **form)
        file = dtool.load(made.folder / "form.onnx", device="cpu")
        guidance = form.get("guidance", 3.0)
        options = {"conditions": told(made, 4), "guidance": guidance, "n": 4}
        if "inputs" in form or made.name == "required":
            options["without"] = told(made, 4, seed=1)
        one, other = (dtool.sample(net, file.plan, **options).x0 for net in (made.host, file))
        assert close(one, other)
        if made.name == "all" and "freeze" in form:
            with pytest.raises(UsageError, match="_without is no input of this file"):
                dtool.sample(file, **options, without=told(made, 4, seed=1))
            config = (made.folder / "config.pbtxt").read_text()
            assert 'name: "mask"\n    data_type: TYPE_BOOL\n    dims: [ -1 ]' in config


def test_both_halves_have_one_length(made):
    if made.name != "all":
        return
    with pytest.raises(UsageError, match="runs both together"):
        dtool.sample(made.file, conditions=told(made, 2), without=told(made, 2, length=7), guidance=3, n=2)


def test_the_file_is_checked_again_from_itself(made):
    from dtool.export.api import recheck

    report = recheck(made.folder / "app.onnx")
    assert report.largest < 1e-4
    assert any("guidance" in check.what for check in report.comparisons)


@pytest.mark.parametrize(
    ("takes", "cause"),
    [
        ({name_without("size")}, "size is no input of this file: its value is built in"),
        ({"size"}, "size_without is no input of this file: what guidance compares with is built in"),
    ],
)
def test_what_is_built_in_cannot_be_given(takes, cause):
    size = Condition(name="size", null=0.0)
    spec = dtool.NetworkSpec(shape=(2,), schedule="linear", conditions=(size,))
    inputs = SamplerInputs(frozenset(takes), frozenset(), False, None)
    pair = ConditionPair({"size": np.ones(3, np.float32)}, {"size": np.full(3, 2, np.float32)})
    with pytest.raises(UsageError, match=cause) as caught:
        feed_conditions(spec, inputs, pair)
    assert "run the network's own file" in caught.value.hint
