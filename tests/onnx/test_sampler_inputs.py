"""A sampler's file with the inputs that it has: those that must be given, and those that other tools built in."""

import importlib.util

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError, UsageError
from tests.support.commandline import failed, ran

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")
import onnxruntime as ort  # noqa: E402

from dtool.export.api import recheck  # noqa: E402
from tests.support.sampler_files import SHAPE, exported  # noqa: E402

ALL = ["seed", "table", "times", "init", "steps", "bounds", "trace", "micro_batch", "guidance"]


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


def test_a_graph_without_its_identities_runs_and_is_checked(tmp_path, monkeypatch, capsys):
    """What a guided network is told is cut out of what all rows could be told: nothing is renamed there."""
    monkeypatch.chdir(tmp_path)
    path, host = exported(tmp_path)
    net = dtool.load(changed(path, drop_identities))
    assert close(dtool.sample(net, n=3, seed=2), dtool.sample(host, net.plan, n=3, seed=2))
    assert ran(capsys, "export", "--check", "changed.onnx").code == 0


@pytest.mark.parametrize("change", [hoist])
def test_a_graph_that_was_rewritten_runs_and_is_not_checked(change, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path, host = exported(tmp_path)
    net = dtool.load(changed(path, change))
    assert close(dtool.sample(net, n=3, seed=2), dtool.sample(host, net.plan, n=3, seed=2))
    done = ran(capsys, "export", "--check", "changed.onnx")
    failed(done, 1, "changed.onnx is not as dtool export wrote it", "another tool has rewritten the graph")
    assert "scratch" not in done.err


def test_errors_do_not_name_where_a_scratch_file_was():
    from dtool.util.files import write_scratch_file

    with pytest.raises(UsageError) as error, write_scratch_file(".onnx", b"", "the network in app.onnx") as path:
        raise UsageError(f"{path} is wrong", f"mend {path}")
    assert (str(error.value), error.value.hint) == ("the network in app.onnx is wrong", "mend the network in app.onnx")
    assert not path.exists()


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
