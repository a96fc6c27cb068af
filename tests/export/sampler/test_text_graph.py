"""One file from token numbers to pictures: text encoder, sampler and decoder."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError, UsageError

for _package in ("torch", "onnx", "onnxruntime", "onnxscript", "tokenizers"):
    pytest.importorskip(_package)
import onnx  # noqa: E402
import onnxruntime as ort  # noqa: E402

from dtool.export.api import recheck  # noqa: E402
from dtool.export.network.text_parts import TextGraph  # noqa: E402
from dtool.export.sampler.graph_builder import make_value_info  # noqa: E402
from dtool.export.sampler.text_graph import add_row_filling  # noqa: E402
from tests.support.tiny_texts import LENGTH, PAD, make_host  # noqa: E402

PLAN, STEPS = "dpmpp-2m/karras", 4
PROMPTS = ["a small red house", "the blue sea"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A model on PyTorch, and the file of all of it."""
    host, path = make_host(), tmp_path_factory.mktemp("whole") / "app.onnx"
    report = dtool.export(host, path, plan=PLAN, steps=STEPS, text=True)
    return SimpleNamespace(host=host, path=path, report=report, file=dtool.load(path, device="cpu"))


@pytest.mark.parametrize("guidance", [1, 5])
def test_it_draws_from_prompts_what_the_model_draws(made, guidance):
    options = {"prompt": PROMPTS, "guidance": guidance, "seed": 4}
    if guidance != 1:
        options["negative"] = "blue house"
    pictures = dtool.sample(made.file, **options).x0
    expected = made.host.to_pictures(dtool.sample(made.host, PLAN, steps=STEPS, **options).x0)
    assert pictures.shape == (2, *made.host.codec.picture_shape)
    assert np.abs(pictures - expected).max() < 1e-4
    assert np.abs(pictures[0] - pictures[1]).max() > 1e-3


def test_another_program_gives_token_numbers(made):
    session = ort.InferenceSession(made.path)
    inputs = {value.name: value.shape for value in session.get_inputs()}
    assert inputs["input_ids"] == ["batch_or_one", "input_ids_length"]
    ids, empty = (made.file.text.encode([text])["input_ids"] for text in (PROMPTS[0], ""))
    feed = {"ids": np.arange(3, dtype=np.uint64), "input_ids": ids, "input_ids_without": empty}
    [pictures] = session.run(["images"], feed)
    expected = made.host.to_pictures(dtool.sample(made.host, PLAN, steps=STEPS, prompt=PROMPTS[0], n=3).x0)
    assert np.abs(pictures - expected).max() < 1e-4


def test_it_is_checked_and_again_from_itself(made):
    assert made.report.largest < 1e-4
    assert recheck(made.path).largest < 1e-4


def test_its_tokenizer_lies_beside_it(made, tmp_path):
    assert made.path.with_name("app.tokenizer.json").exists()
    (tmp_path / "app.onnx").write_bytes(made.path.read_bytes())
    with pytest.raises(DtoolError, match="needs its tokenizer"):
        dtool.load(tmp_path / "app.onnx", device="cpu")


def test_a_network_without_a_text_encoder(made, tmp_path):
    plain = dtool.load(made.host.module, spec=made.host.spec, device="cpu")
    with pytest.raises(UsageError, match="no text encoder"):
        dtool.export(plain, tmp_path / "app.onnx", plan=PLAN, steps=STEPS, text=True)


def feed(made, *, count=3, **texts):
    """The inputs for the first images: the token numbers of some texts, in as few as there are, and their images."""
    rows = {}
    for name, text in texts.items():
        [row] = made.file.text.encode([text])["input_ids"]
        rows[name] = np.array([[number for number in row if number != PAD]], dtype=np.int64)
    return {"ids": np.arange(count, dtype=np.uint64)} | rows


def draw(made, **options):
    return made.host.to_pictures(dtool.sample(made.host, PLAN, steps=STEPS, n=3, **options).x0)


def test_guidance_compares_with_the_empty_prompt_unless_it_is_told_another(made):
    [pictures] = ort.InferenceSession(made.path).run(["images"], feed(made, input_ids=PROMPTS[0]))
    assert np.abs(pictures - draw(made, prompt=PROMPTS[0])).max() < 1e-4
    assert np.abs(pictures - draw(made, prompt=PROMPTS[0], negative="sea")).max() > 1e-3


def test_rows_are_filled_up_and_need_not_be_of_one_length(made):
    words = {"input_ids": "sea", "input_ids_without": "a red house"}
    given = feed(made, **words)
    assert [given[name].shape for name in words] == [(1, 1), (1, 3)]
    [pictures] = ort.InferenceSession(made.path).run(["images"], given)
    assert np.abs(pictures - draw(made, prompt="sea", negative="a red house")).max() < 1e-4


def test_a_row_that_is_too_long_stops_the_run(made):
    given = feed(made, input_ids="sea") | {"input_ids_without": np.ones((1, LENGTH + 1), np.int64)}
    with pytest.raises(Exception, match=f"input_ids_without: a row has at most {LENGTH} numbers"):
        ort.InferenceSession(made.path).run(["images"], given)


@pytest.mark.parametrize("words", [(), ("without",)])
def test_where_nothing_has_a_default(made, tmp_path, words):
    """For JavaScript: what guidance compares with is built in, or must be given."""
    path = tmp_path / "web.onnx"
    dtool.export(made.host, path, plan=PLAN, steps=STEPS, text=True, inputs=("seed", *words), guidance=3.0)
    session, empty = ort.InferenceSession(path), feed(made, input_ids="")["input_ids"]
    assert session.get_overridable_initializers() == []
    names = {value.name for value in session.get_inputs()}
    assert names == {"ids", "seed", "input_ids", *(f"input_ids_{word}" for word in words)}
    given = (
        feed(made, input_ids=PROMPTS[1])
        | {"seed": np.array(9, np.uint64)}
        | {f"input_ids_{word}": empty for word in words}
    )
    [pictures] = session.run(["images"], given)
    expected = draw(made, prompt=PROMPTS[1], seed=9)
    assert np.abs(pictures - expected).max() < 1e-4
    file = dtool.load(path, device="cpu")
    assert np.abs(dtool.sample(file, prompt=PROMPTS[1], n=3, seed=9).x0 - expected).max() < 1e-4
    if not words:
        with pytest.raises(UsageError, match="input_ids_without is no input of this file"):
            dtool.sample(file, prompt=PROMPTS[1], negative="sea")


def test_a_tokenizer_that_does_not_fill_up_leaves_the_length_fixed():
    [ids] = [make_value_info("input_ids", np.int64, ["batch", 2])]
    graph = onnx.helper.make_graph([], "g", [ids], [])
    add_row_filling(graph, TextGraph(onnx.ModelProto(), ("input_ids",), ("{}",), ((0, 1),)))
    assert [dim.dim_value for dim in graph.input[0].type.tensor_type.shape.dim] == [0, 2]
    assert not graph.node


def test_a_row_may_be_filled_up_in_front():
    ids, out = (make_value_info(name, np.int64, ["batch", 4]) for name in ("input_ids", "out"))
    node = onnx.helper.make_node("Identity", ["input_ids"], ["out"])
    graph = onnx.helper.make_graph([node], "g", [ids], [out])
    padding = '{"padding": {"direction": "Left", "pad_id": 7}}'
    add_row_filling(graph, TextGraph(onnx.ModelProto(), ("input_ids",), (padding,), ((7,) * 4,)))
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    [rows] = ort.InferenceSession(model.SerializeToString()).run(None, {"input_ids": np.array([[1, 2]])})
    assert rows.tolist() == [[7, 7, 1, 2]]
