"""A sampler's file with the inputs that it has: those that must be given, and those that other tools built in."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest

import dtool
from dtool.backends.fused import plan_in
from dtool.errors import DtoolError, UsageError
from tests.commandline import failed, ran

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

import onnxruntime as ort  # noqa: E402

from dtool.export.api import recheck  # noqa: E402
from tests.small_networks import write  # noqa: E402

SHAPE, STEPS = (2, 3), 4
ALL = ["seed", "table", "times", "init", "steps", "bounds", "trace", "micro_batch", "guidance"]


def exported(folder, recipe="ddpm", classes=2, name="app.onnx", **options):
    """The file of a sampler, and its host network."""
    write(folder / "net.onnx", shape=SHAPE, classes=classes, clip=True, guidance=1.5 if classes else 1.0)
    dtool.export(folder / "net.onnx", folder / name, plan=recipe, steps=STEPS, check=False, **options)
    return folder / name, dtool.load(folder / "net.onnx")


def changed(path, change, name="changed.onnx"):
    """The file after `change(model)`."""
    model = onnx.load(path)
    change(model)
    onnx.save(model, path.with_name(name))
    return path.with_name(name)


def bake(*names):
    """What simplifiers do: inputs with a default go, the default stays."""

    def change(model):
        kept = [value for value in model.graph.input if value.name not in names]
        del model.graph.input[:]
        model.graph.input.extend(kept)

    return change


def without(field, *names):
    def change(model):
        values = getattr(model.graph, field)
        kept = [value for value in values if value.name not in names]
        del values[:]
        values.extend(kept)

    return change


def close(one, other):
    return np.abs(one.x0 - other.x0).max() < 1e-5 * max(1, np.abs(other.x0).max())


# ---------------------------------------------------------------- inputs that must be given


WORDS = [("seed",), ("guidance",), ("seed", "guidance"), ("plan",), ("plan", "guidance", "seed")]


@pytest.mark.parametrize("words", WORDS, ids=",".join)
def test_nothing_has_a_default(words, tmp_path):
    path, host = exported(tmp_path, inputs=words)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    plan = ["table", "times", "init"] if "plan" in words else []
    names = [*(["seed"] if "seed" in words else []), *plan, *(["guidance"] if "guidance" in words else [])]
    assert [value.name for value in model.graph.input] == ["ids", "label", *names]
    assert not {value.name for value in model.graph.input} & {tensor.name for tensor in model.graph.initializer}
    assert [value.name for value in model.graph.output] == ["images"]
    net = dtool.load(path)
    options = {"n": 5, "labels": [0, -1, 1, 1, 0]}
    options |= {"seed": 2**63 + 5} if "seed" in words else {}
    options |= {"guidance": 3.0} if "guidance" in words else {}
    plans = [net.plan, *(dtool.plan("ddim", steps=n, network=host) for n in (1, 7) if plan)]
    for each in plans:
        assert close(dtool.sample(net, each, **options), dtool.sample(host, each, **options))


def test_another_program_gives_them_all(tmp_path):
    """As one would in JavaScript or C#: what is not given is an error of the runtime, not a default."""
    path, host = exported(tmp_path, inputs=("seed", "guidance"))
    session = ort.InferenceSession(path)
    feed = {"ids": np.array([3, 9], np.uint64), "label": np.array([1, 0]), "seed": np.array(7, np.uint64)}
    with pytest.raises(ValueError, match="guidance"):
        session.run(None, feed)
    [images] = session.run(None, feed | {"guidance": np.array(2.5, np.float32)})
    expected = dtool.sample(host, dtool.load(path).plan, ids=[3, 9], labels=[1, 0], seed=7, guidance=2.5)
    assert np.abs(images - expected.x0).max() < 1e-5


@pytest.mark.parametrize(
    ("asked", "cause", "remedy"),
    [
        ({"seed": 1}, "its seed is 0, not 1", "seed among its --inputs"),
        ({"guidance": 3.0}, "its guidance is 1.5, not 3.0", "guidance among its --inputs"),
        ({"plan": "ddim", "steps": 3}, "its plan is ddpm, 4 steps", "plan among its --inputs"),
        ({"clip": False}, "its clip is True, not False", "without --inputs"),
        ({"trace": True}, "it gives no trace", "without --inputs"),
    ],
)
def test_what_is_no_input_is_refused(asked, cause, remedy, tmp_path):
    word = "guidance" if "seed" in asked else "seed"
    path, _ = exported(tmp_path, inputs=(word,))
    with pytest.raises(UsageError, match=cause) as error:
        dtool.sample(dtool.load(path), n=2, **asked)
    assert remedy in error.value.hint
    assert close(dtool.sample(dtool.load(path), n=2), dtool.sample(dtool.load(path), n=2, clip=True))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"inputs": ("sed",)}, "'sed' is no input"),
        ({"inputs": ("seed",), "freeze": True}, "freeze leaves no inputs"),
        ({"inputs": ("seed",), "seed": 3}, "seed=3 is a default"),
        ({"inputs": ("guidance",), "classes": 0}, "guidance needs classes, and a label that means none"),
    ],
)
def test_inputs_that_cannot_be(options, says, tmp_path):
    with pytest.raises(UsageError, match=says):
        exported(tmp_path, **options)
    assert not (tmp_path / "app.onnx").exists()


def test_on_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "net.onnx", shape=(1, 4, 4), classes=2, clip=True)
    words = ("--recipe", "dpmpp-2m", "--steps", 4, "--inputs", "seed, plan", "-o", "app.onnx")
    done = ran(capsys, "export", "net.onnx", *words)
    assert done.code == 0, done.err
    assert "its own values given" in done.err
    assert not (tmp_path / "config.pbtxt").exists(), "Triton makes batches of frozen files alone"
    assert ran(capsys, "export", "--check", "app.onnx", "--json").code == 0
    assert dtool.Plan.from_json(ran(capsys, "plan", "app.onnx", "--json").out) == plan_in(tmp_path / "app.onnx")
    for name in ("net", "app"):
        words = ("--sampler", "ddim", "--steps", 3, "--seed", 8, "--npz", f"{name}.npz")
        assert ran(capsys, "sample", f"{name}.onnx", *words).code == 0
    assert np.abs(np.load("net.npz")["x0"] - np.load("app.npz")["x0"]).max() < 1e-5
    failed(ran(capsys, "export", "net.onnx", "--recipe", "ddim", "--inputs", "sed"), 2, "'sed'", "did you mean seed?")
    failed(ran(capsys, "export", "net.onnx", "--inputs", "seed"), 2, "--inputs is for a sampler's file")


@pytest.mark.filterwarnings("ignore::dtool.plan.ClampWarning")
def test_a_plan_as_json_for_any_language(tmp_path, monkeypatch, capsys):
    """`dtool plan --for` prints what another program gives the file."""
    monkeypatch.chdir(tmp_path)
    path, host = exported(tmp_path, recipe="dpmpp-2m", inputs=("seed", "plan"), classes=0)
    session = ort.InferenceSession(path)
    feed = {"ids": np.array([0, 5], np.uint64), "seed": np.array(7, np.uint64)}
    for words, plan in (
        (("ddim@cosine/karras", "--steps", 6), dtool.plan("ddim@cosine/karras", steps=6, network=host)),
        (("app.onnx",), dtool.load(path).plan),
    ):
        done = ran(capsys, "plan", *words, "--for", "app.onnx")
        assert done.code == 0, done.err
        told = json.loads(done.out)
        assert [*told] == ["table", "times", "init"]
        given = {name: np.array(v["data"], v["type"]).reshape(v["dims"]) for name, v in told.items()}
        [images] = session.run(["images"], feed | given)
        expected = dtool.sample(host, plan, ids=[0, 5], seed=7).x0
        assert np.abs(images - expected).max() < 1e-5 * max(1, np.abs(expected).max())
    failed(ran(capsys, "plan", "dpmpp-3m", "--for", "app.onnx"), 2, "remembers 2 older", "--history 2")
    failed(ran(capsys, "plan", "dpmpp-sde", "--for", "app.onnx"), 2, "dpmpp-sde keeps an x", "--history 1")
    failed(ran(capsys, "plan", "ddim", "--for", "net.onnx"), 1, "net.onnx holds no plan", "--recipe")
    exported(tmp_path, inputs=("seed",))
    failed(ran(capsys, "plan", "ddim", "--for", "app.onnx"), 2, "app.onnx takes no plan", "--inputs seed,plan")
    exported(tmp_path)
    assert "steps" in json.loads(ran(capsys, "plan", "ddim", "--steps", 3, "--for", "app.onnx").out)


# ---------------------------------------------------------------- inputs that another tool built in


def test_a_file_whose_defaults_were_built_in_runs_as_frozen(tmp_path):
    path, host = exported(tmp_path)
    net = dtool.load(changed(path, bake(*ALL)))
    assert close(dtool.sample(net, n=5), dtool.sample(host, net.plan, n=5))
    refused = [
        ({"seed": 3}, "frozen: its seed is 0, not 3"),
        ({"guidance": 4.0}, "frozen: its guidance is 1.5, not 4.0"),
        ({"plan": "ddim", "steps": 4}, "frozen: its plan is ddpm, 4 steps .*, not ddim, 4 steps"),
        ({"steps": 9}, "not ddpm, 9 steps"),
        ({"clip": False}, "frozen: its clip is True"),
        ({"trace": True}, "frozen: it gives no trace"),
    ]
    for asked, says in refused:
        with pytest.raises(UsageError, match=says) as error:
            dtool.sample(net, n=2, **asked)
        assert "onnxsim" in error.value.hint


@pytest.mark.parametrize("gone", [*ALL, "table times init", "seed bounds", "micro_batch trace"])
def test_some_of_them_are_gone(gone, tmp_path):
    """What is still an input is given; what is not must be as the file holds it."""
    gone = gone.split()
    path, host = exported(tmp_path)
    net = dtool.load(changed(path, bake(*gone)))
    asked = {"seed": 3, "guidance": 4.0, "clip": False, "plan": dtool.plan("ddim", steps=3, network=host)}
    of = {"bounds": "clip", "table": "plan", "times": "plan", "init": "plan", "steps": "plan"}
    fixed = {of.get(name, name) for name in gone} | ({"clip"} if "table" in gone else set())  # it is made for one
    free = {"plan": net.plan} | {name: value for name, value in asked.items() if name not in fixed}
    assert close(dtool.sample(net, n=3, **free), dtool.sample(host, n=3, **free))
    for name in fixed & asked.keys():
        with pytest.raises(UsageError, match=f"its {name} is"):
            dtool.sample(net, n=3, **{"plan": net.plan, name: asked[name]})


def test_traces_that_are_gone(tmp_path):
    path, _ = exported(tmp_path)
    net = dtool.load(changed(path, without("output", "trace_x", "trace_x0")))
    assert close(dtool.sample(net, n=3, seed=4), dtool.sample(dtool.load(path), n=3, seed=4))
    with pytest.raises(UsageError, match="it gives no trace"):
        dtool.sample(net, n=3, trace=True)


def test_defaults_that_were_taken_out(tmp_path):
    """All inputs are required ones then, and given."""
    path, host = exported(tmp_path)
    path = changed(path, without("initializer", *ALL))
    assert len(ort.InferenceSession(path).get_inputs()) == 11
    net = dtool.load(path)
    assert close(dtool.sample(net, n=3, seed=4), dtool.sample(host, net.plan, n=3, seed=4))
    assert recheck(path).largest < 1e-4


@pytest.mark.parametrize("count", [1, 3, 8])
def test_a_batch_that_was_fixed(count, tmp_path):
    def fix(model):
        for value in model.graph.input[:2]:
            value.type.tensor_type.shape.dim[0].dim_value = 3

    path, host = exported(tmp_path)
    net = dtool.load(changed(path, fix))
    one, other = (dtool.sample(each, net.plan, n=count, seed=6) for each in (net, host))
    assert one.x0.shape == (count, *SHAPE)
    assert close(one, other)


REFUSED = [
    (without("input", "ids"), "a sampler takes ids, label"),
    (without("input", "label"), "has the inputs ids uint64 .batch.; a sampler takes ids, label"),
    (without("output", "images"), "and no images"),
]


@pytest.mark.parametrize(("change", "says"), REFUSED, ids=[says for _, says in REFUSED])
def test_what_cannot_be_run_is_told(change, says, tmp_path):
    path, _ = exported(tmp_path)
    with pytest.raises(DtoolError, match=says) as error:
        dtool.load(changed(path, change))
    assert "as dtool export wrote it" in error.value.hint


def test_metadata_that_were_dropped(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path, _ = exported(tmp_path)
    for change in (lambda model: None, bake(*ALL)):
        changed(path, lambda model, change=change: (change(model), model.ClearField("metadata_props")))
        for words in (("sample",), ("plan",), ("export", "--check"), ("compare",)):
            done = ran(capsys, *words, "changed.onnx")
            failed(done, 1, "changed.onnx looks like a sampler of dtool export, but its metadata are gone", "metadata")


# ---------------------------------------------------------------- checked again


def test_a_baked_file_is_checked(tmp_path):
    path, _ = exported(tmp_path)
    report = recheck(changed(path, bake(*ALL)))
    assert report.largest < 1e-4
    assert not any("in its place" in c.what or "at each step" in c.what for c in report.comparisons)


def drop_identities(model):
    """Leave out the nodes that only rename, in the loops too."""

    def walk(graph):
        renamed = {}
        outputs = {value.name for value in graph.output}
        for node in list(graph.node):
            if node.op_type == "Identity" and node.output[0] not in outputs:
                renamed[node.output[0]] = renamed.get(node.input[0], node.input[0])
                graph.node.remove(node)
        apply(graph, renamed)
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    walk(attribute.g)

    def apply(graph, renamed):
        for node in graph.node:
            node.input[:] = [renamed.get(name, name) for name in node.input]
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    apply(attribute.g, renamed)

    walk(model.graph)


def hoist(model):
    """Move the weights of the innermost graph to the outermost, as onnxslim does."""

    def walk(graph):
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    walk(attribute.g)
                    model.graph.initializer.extend(attribute.g.initializer)
                    del attribute.g.initializer[:]

    walk(model.graph)


@pytest.mark.parametrize("change", [drop_identities, hoist])
def test_a_graph_that_was_rewritten_runs_and_is_not_checked(change, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path, host = exported(tmp_path)
    net = dtool.load(changed(path, change))
    assert close(dtool.sample(net, n=3, seed=2), dtool.sample(host, net.plan, n=3, seed=2))
    done = ran(capsys, "export", "--check", "changed.onnx")
    failed(done, 1, "changed.onnx is not as dtool export wrote it", "another tool has rewritten the graph")
    assert "scratch" not in done.err


def test_errors_do_not_name_where_a_scratch_file_was():
    from dtool.files import scratch_file

    with pytest.raises(UsageError) as error, scratch_file(".onnx", b"", "the network in app.onnx") as path:
        raise UsageError(f"{path} is wrong", f"mend {path}")
    assert (str(error.value), error.value.hint) == ("the network in app.onnx is wrong", "mend the network in app.onnx")
    assert not path.exists()


# ---------------------------------------------------------------- the tools themselves, where they are installed


def simplified(tool, model):
    if tool == "onnxsim":
        import onnxsim

        return onnxsim.simplify(model)[0]
    if tool == "onnxslim":
        import onnxslim

        return onnxslim.slim(model)
    import onnxoptimizer

    return onnxoptimizer.optimize(model)


@pytest.mark.parametrize("tool", ["onnxsim", "onnxslim", "onnxoptimizer"])
def test_what_the_tools_make_is_run(tool, tmp_path):
    if importlib.util.find_spec(tool) is None:
        pytest.skip(f"{tool} is not installed")
    path, host = exported(tmp_path)
    onnx.save(simplified(tool, onnx.load(path)), tmp_path / "simple.onnx")
    net = dtool.load(tmp_path / "simple.onnx")
    assert close(dtool.sample(net, n=5), dtool.sample(host, net.plan, n=5))
    if tool == "onnxoptimizer":
        assert close(dtool.sample(net, n=5, seed=1), dtool.sample(host, net.plan, n=5, seed=1))
        return
    with pytest.raises(UsageError, match="frozen: its seed is 0, not 1"):
        dtool.sample(net, n=5, seed=1)
    with pytest.raises(DtoolError, match=r"simple\.onnx is not as dtool export wrote it"):
        recheck(tmp_path / "simple.onnx")


def test_the_form_is_in_the_metadata(tmp_path):
    path, _ = exported(tmp_path, inputs=("plan", "seed"))
    document = json.loads({p.key: p.value for p in onnx.load(path).metadata_props}["dtool"])
    assert document["form"]["inputs"] == ["seed", "plan"]
