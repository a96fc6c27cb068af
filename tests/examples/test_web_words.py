"""The page that draws from words: the same token numbers, the same pictures, and what it says of the words."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from types import SimpleNamespace
from urllib.parse import parse_qs, urlencode

import numpy as np
import pytest

import dtool

for _package in ("torch", "onnx", "onnxruntime", "onnxscript", "tokenizers", "diffusers", "transformers"):
    pytest.importorskip(_package)
pytest.importorskip("fcntl", reason="the browser is driven through a pipe, as on Linux and macOS")
from tests.support import tiny_pipelines as tiny  # noqa: E402
from tests.support import trained_tokenizers as trained  # noqa: E402
from tests.support.commandline import ran  # noqa: E402
from tests.support.places import EXAMPLES  # noqa: E402
from tests.support.web_pages import DRAWN, ERROR, build_site, load_builder  # noqa: E402

RECIPES, STEPS = ("ddim", "dpmpp-2m/karras"), (2, 4)
ENCODE = """import { readFileSync } from "node:fs";
import { openTokenizer } from "./tokens.js";
const { json, prompts } = JSON.parse(readFileSync(0));
const encode = openTokenizer(json);
console.log(JSON.stringify(prompts.map((prompt) => encode(prompt))));
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A folder of diffusers."""
    from diffusers import DDIMScheduler

    folder = tmp_path_factory.mktemp("model")
    tiny.stable_diffusion(DDIMScheduler(clip_sample=False)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def site(model, tmp_path_factory):
    """The folder that the build script makes of it."""
    return build_site(tmp_path_factory.mktemp("site"), str(model), recipes=RECIPES, steps=STEPS, history=1)


@pytest.fixture
def drawn(page, site, serve):
    """drawn.at(prompt=…, seed=…): the numbers of the images that the page draws for these words of its address."""
    address, _ = serve(site)

    def draw(**words):
        page.open(f"{address}?{urlencode({'test': 1, **words})}")
        return json.loads(page.wait(f"({DRAWN}) || ({ERROR})"))

    return SimpleNamespace(at=draw, address=address)


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """A folder in which Node.js runs tokens.js."""
    if shutil.which("node") is None:
        pytest.skip("Node.js is not installed")
    folder, made = tmp_path_factory.mktemp("node"), load_builder()
    try:
        made.fetch(made.TOKENIZERS, folder)
    except dtool.DtoolError as error:
        pytest.skip(str(error))
    for name in ("tokens.js", "error.js"):
        shutil.copy(EXAMPLES / "web" / "page" / name, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "encode.js").write_text(ENCODE)
    return folder


def encode(node, tokenizer, prompts):
    given = json.dumps({"json": json.loads(tokenizer.to_str()), "prompts": prompts})
    done = subprocess.run(["node", "encode.js"], cwd=node, input=given, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


KINDS = {
    "clip": trained.train_clip,
    "bert": trained.train_bert,
    "bert, cut off in front": lambda: trained.train_bert("left"),
    "unigram": trained.train_unigram,
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_numbers_are_those_of_the_python_library(node, kind):
    tokenizer = KINDS[kind]()
    pad = tokenizer.padding["pad_id"]
    rows = encode(node, tokenizer, trained.PROMPTS)
    for prompt, row, own in zip(trained.PROMPTS, rows, tokenizer.encode_batch(trained.PROMPTS), strict=True):
        filled = row["ids"] + [pad] * (trained.LENGTH - len(row["ids"]))
        assert filled == own.ids, prompt
        assert bool(row["lost"]) == bool(own.overflowing), prompt
    tokenizer.no_truncation()
    tokenizer.no_padding()
    assert [row["count"] for row in rows] == [len(each.ids) for each in tokenizer.encode_batch(trained.PROMPTS)]


def test_what_is_cut_off_is_said_in_words(node):
    [row] = encode(node, trained.train_bert(), ["cat " * 18 + "sea house"])
    assert (row["lost"], row["count"], row["limit"]) == ("sea house", 22, 20)


def test_the_page_draws_what_the_command_draws(drawn, page, model, tmp_path, monkeypatch, capsys):
    words = {"prompt": "a cat by the sea", "negative": "blue & red", "guidance": 4.5, "seed": 7, "count": 2, "steps": 4}
    numbers = drawn.at(**words, sampler="ddim")
    monkeypatch.chdir(tmp_path)
    flags = [
        "--prompt",
        words["prompt"],
        "--negative",
        words["negative"],
        "--guidance",
        "4.5",
        "--seed",
        "7",
        "-n",
        "2",
    ]
    sampler = ["--recipe", "ddim", "--steps", "4", "--npz", "out.npz", "--device", "cpu"]
    done = ran(capsys, "sample", str(model), *flags, *sampler)
    assert done.code == 0, done.err
    expected = np.load("out.npz")["x0"]
    assert expected.std() > 0.1
    assert np.abs(np.reshape(numbers["images"], expected.shape) - expected).max() < 1e-4
    assert np.abs(np.array(drawn.at(**words | {"prompt": "a red house"})["images"]) - numbers["images"]).max() > 1e-3
    assert page.complaints == []


def test_no_words_are_the_empty_prompt(drawn, model):
    numbers = drawn.at(prompt="", guidance=1, count=1, steps=2, sampler="ddim")
    network = dtool.load(model, device="cpu")
    expected = network.to_pictures(dtool.sample(network, "ddim", steps=2, n=1, guidance=1).x0)
    assert np.abs(np.reshape(numbers["images"], expected.shape) - expected).max() < 1e-4


def test_the_address_holds_the_words(drawn, page):
    page.open(drawn.address + "?test=1&steps=2&count=1")
    page.wait("document.getElementById('status').textContent.startsWith('Ready')")
    assert page.evaluate(DRAWN) is None, "nothing is drawn before there are words"
    assert page.evaluate("document.activeElement.id") == "prompt"
    page.type("cats & dogs, 100% naïve?")
    page.press("Enter", 13, "\r")
    first = json.loads(page.wait(DRAWN))
    address = page.evaluate("location.search")
    told = {name: values[0] for name, values in parse_qs(address[1:], keep_blank_values=True).items()}
    assert (told["prompt"], told["negative"], told["guidance"]) == ("cats & dogs, 100% naïve?", "", "7.5")
    page.open(drawn.address + address)
    assert json.loads(page.wait(DRAWN)) == first


def test_words_that_are_too_long_are_said(drawn, page):
    numbers = drawn.at(prompt="my very long words", negative="cat", steps=2, count=1)
    note = "document.getElementById('prompt-note').textContent"
    assert page.evaluate(note) == "Too long: of 17 tokens 16 are read, and “s” is cut off."
    assert len(numbers["rows"]["input_ids"]) == 16
    page.evaluate("document.getElementById('prompt').select()")
    page.type("my words")
    assert page.evaluate(note) == ""
    page.evaluate("document.getElementById('guidance').value = 1")
    page.evaluate("document.getElementById('guidance').dispatchEvent(new Event('input'))")
    assert page.evaluate("document.getElementById('negative-note').textContent") == "Guidance 1 does not use it."


@pytest.mark.parametrize("text", ["", "-1", "1e3", "101", "seven", "1,5"])
def test_a_scale_that_is_none_is_refused(drawn, page, text):
    page.open(drawn.address)
    page.wait("!document.getElementById('draw').disabled")
    page.evaluate(f"document.getElementById('guidance').value = '{text}'; document.getElementById('draw').click()")
    assert page.evaluate("document.getElementById('guidance-error').textContent") == "A number, 0 to 100."
    assert page.evaluate("document.querySelectorAll('canvas').length") == 0


def test_every_field_has_a_name(drawn, page):
    drawn.at(prompt="a cat", steps=2, count=1)
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    named = {}
    for each in nodes:
        if not each["ignored"]:
            named.setdefault(each["role"]["value"], []).append(each.get("name", {}).get("value", ""))
    assert named["textbox"] == ["What to draw", "What to avoid", "Guidance", "Seed", "Images"]
    assert named["image"] == ["image 0: a cat"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "app.tokenizer.json is not beside this page. Build it: python build.py"),
        ("{}", "app.tokenizer.json was not made for this app.onnx. Build the page again."),
    ],
)
def test_another_tokenizer_is_refused(page, site, serve, tmp_path, content, words):
    folder = tmp_path / "other"
    shutil.copytree(site, folder, copy_function=os.link)
    (folder / "app.tokenizer.json").unlink()
    if content is not None:
        (folder / "app.tokenizer.json").write_text(content)
    page.open(serve(folder)[0])
    assert page.wait(ERROR) == words


def test_a_network_that_is_told_anything_else_is_refused_before_any_work(tmp_path):
    from tests.support.attending_networks import TEXT, make_attending

    dtool.export(make_attending(TEXT), tmp_path / "net.onnx", check=False)
    with pytest.raises(dtool.DtoolError, match=r"must be told text float32 .*fields for words and classes alone"):
        load_builder().build(tmp_path / "dist", str(tmp_path / "net.onnx"))
    assert not (tmp_path / "dist").exists()
