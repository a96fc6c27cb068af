"""Training with words from the command line: a folder, a table of captions and a sentence encoder, then prompts."""

from pathlib import Path

import numpy as np
import pytest

for package in ("torch", "accelerate", "tokenizers", "onnx", "onnxruntime"):
    pytest.importorskip(package)
import dtool  # noqa: E402
from tests.support.captioned_pictures import NETWORK, write_pictures, write_table  # noqa: E402
from tests.support.commandline import ran, replace_options  # noqa: E402
from tests.support.tiny_sentences import write_folder  # noqa: E402

RUN = ["--steps", "3", "--batch-size", "8", "--no-classes", "-q"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Pictures with captions, an encoder, and a model that was trained with them for three steps."""
    folder = tmp_path_factory.mktemp("words")
    write_table(folder / "captions.csv", write_pictures(folder / "squares"))
    write_folder(folder / "encoder")
    return folder


def train(capsys, place, *more):
    words = ["--captions", place / "captions.csv", "--text-encoder", place / "encoder", *NETWORK, *RUN]
    return ran(capsys, "train", place / "squares", *replace_options(words, more))


@pytest.fixture(scope="module")
def model(place):
    from dtool.cli import main

    words = [
        "train", place / "squares", "--captions", place / "captions.csv", "--text-encoder", place / "encoder",
        *NETWORK, *RUN, "-o", place / "words.pt", "--guidance", "2",
    ]  # fmt: skip
    assert main([str(word) for word in words]) == 0
    return place / "words.pt"


def test_a_model_says_what_it_takes_and_draws_from_words(capsys, model, tmp_path):
    said = ran(capsys, "model", model)
    assert "made of the prompt" in said.out
    assert "the sentence encoder in" in said.out
    drawn = ran(
        capsys, "sample", model, "--prompt", "a red square", "--prompt", "a blue square", "--steps", "2", "-n", "4",
        "--npz", tmp_path / "x.npz", "-o", tmp_path / "x.png",
    )  # fmt: skip
    assert drawn.code == 0, drawn.err
    images = np.load(tmp_path / "x.npz")["x0"]
    assert np.abs(images[0] - images[1]).max() > 0
    compared = ran(
        capsys, "compare", model, "ddim", "dpmpp-2m", "--steps", "2", "-n", "4", "--prompt", "a red square",
        "--guidance", "3", "--repeats", "1", "-q",
    )  # fmt: skip
    assert compared.code == 0, compared.err


def test_a_file_of_the_sampler_draws_what_the_checkpoint_draws(capsys, model, tmp_path):
    file = tmp_path / "words.onnx"
    made = ran(capsys, "export", model, "--recipe", "ddim", "--steps", "3", "--text-bits", "32", "-o", file)
    assert made.code == 0, made.err
    assert (tmp_path / "words.tokenizer.json").is_file()
    arrays = []
    for source in (model, file):
        words = ["--prompt", "a dark red square", "--prompt", "green", "-n", "4", "--seed", "5"]
        more = ["--sampler", "ddim", "--steps", "3", "--npz", tmp_path / "x.npz", "-o", tmp_path / "x.png"]
        done = ran(capsys, "sample", source, *words, *more)
        assert done.code == 0, done.err
        arrays.append(np.load(tmp_path / "x.npz")["x0"])
    np.testing.assert_allclose(arrays[0], arrays[1], atol=1e-5)


def test_the_encoder_is_in_eight_bits_unless_that_is_said_and_the_loss_is_told(capsys, model, tmp_path):
    made = ran(capsys, "export", model, "--recipe", "ddim", "--steps", "2", "-o", tmp_path / "words.onnx")
    assert made.code == 0, made.err
    assert "in eight bits: cosine at least" in made.err
    bare = ran(
        capsys,
        "export",
        model,
        "--recipe",
        "ddim",
        "--steps",
        "2",
        "--no-text",
        "--no-check",
        "-o",
        tmp_path / "bare.onnx",
    )
    assert bare.code == 0, bare.err
    assert "eight bits" not in bare.err
    assert [one.name for one in dtool.load(tmp_path / "bare.onnx").spec.conditions] == ["text"]
    refused = ran(
        capsys, "export", model, "--recipe", "ddim", "--no-text", "--text-bits", "8", "-o", tmp_path / "no.onnx"
    )
    assert refused.code == 2
    assert "there is none" in refused.err
    other = ran(capsys, "export", model, "--recipe", "ddim", "--text-bits", "4", "-o", tmp_path / "no.onnx")
    assert other.code == 2
    assert not (tmp_path / "no.onnx").exists()


def test_a_folder_has_the_encoder_beside_the_sampler(capsys, model, tmp_path):
    made = ran(capsys, "export", model, "--recipe", "ddim", "--steps", "2", "-o", tmp_path / "pipeline")
    assert made.code == 0, made.err
    drawn = ran(
        capsys, "sample", tmp_path / "pipeline", "--prompt", "a red square", "-n", "2", "-o", tmp_path / "x.png"
    )
    assert drawn.code == 0, drawn.err


def test_an_encoder_that_has_moved_is_asked_for_and_another_is_refused(capsys, place, model, tmp_path):
    moved = tmp_path / "elsewhere" / "words.pt"
    moved.parent.mkdir()
    moved.write_bytes(Path(model).read_bytes())
    lost = ran(capsys, "sample", moved, "--prompt", "red", "--steps", "2", "-n", "1", "-o", tmp_path / "x.png")
    assert lost.code == 1
    assert "--text-encoder PATH" in lost.err
    words = ["--prompt", "red", "--steps", "2", "-n", "1", "-o", tmp_path / "x.png"]
    found = ran(capsys, "sample", moved, "--text-encoder", place / "encoder", *words)
    assert found.code == 0, found.err
    words = ["--recipe", "ddim", "--steps", "2", "--no-check", "-o", tmp_path / "moved.onnx"]
    made = ran(capsys, "export", moved, "--text-encoder", place / "encoder", *words)
    assert made.code == 0, made.err
    lacking = ran(capsys, "export", moved, *words)
    assert (lacking.code, "--text-encoder PATH" in lacking.err) == (1, True), lacking.err
    write_folder(tmp_path / "other", width=16)
    other = ran(capsys, "sample", moved, "--text-encoder", tmp_path / "other", "--prompt", "red", "-n", "1")
    assert other.code == 2
    assert "another sentence encoder" in other.err
    stranger = ran(capsys, "sample", "--text-encoder", place / "encoder", "-n", "1", "-o", tmp_path / "y.png")
    assert stranger.code == 2
    assert "was not trained with a sentence encoder" in stranger.err


@pytest.mark.parametrize(
    ("more", "code", "cause"),
    [
        (["--task", "fill"], 2, "takes no captions"),
        (["--classes"], 2, "two ways of saying what to draw"),
        (["--caption-dropout", "0"], 2, "--caption-dropout"),
        (["--text-encoder", "nowhere"], 1, "there is no folder nowhere"),
        (["--captions", "nowhere.csv"], 1, "there is no file nowhere.csv"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_does_not_go_together_is_refused_before_any_work(capsys, place, tmp_path, more, code, cause):
    done = train(capsys, place, "-o", tmp_path / "x.pt", *more)
    assert (done.code, cause in done.err) == (code, True), done.err
    assert not (tmp_path / "x.pt").exists()


def test_captions_without_an_encoder_and_an_encoder_without_captions_are_refused(capsys, place, tmp_path):
    words = ["train", place / "squares", *NETWORK, *RUN, "-o", tmp_path / "x.pt"]
    one = ran(capsys, *words, "--captions", place / "captions.csv")
    assert (one.code, "there is nothing to read them" in one.err) == (2, True)
    other = ran(capsys, *words, "--text-encoder", place / "encoder")
    assert (other.code, "has no captions to read" in other.err) == (2, True)
    alone = ran(capsys, *words, "--text-condition", "tokens")
    assert (alone.code, "--text-condition tokens is of --captions" in alone.err) == (2, True)


def test_tokens_are_trained_on_exported_and_resumed(capsys, place, tmp_path):
    out = tmp_path / "tokens.pt"
    assert train(capsys, place, "--text-condition", "tokens", "-o", out).code == 0
    assert dtool.load(out).spec.conditions[0].shape == (32, 8)
    made = ran(
        capsys, "export", out, "--recipe", "ddim", "--steps", "2", "--guidance", "2", "-o", tmp_path / "tokens.onnx"
    )
    assert made.code == 0, made.err
    on = train(capsys, place, "--text-condition", "tokens", "-o", out, "--resume", "--steps", "4")
    assert on.code == 0, on.err
    rest = [line.replace("dark", "bright") for line in (place / "captions.csv").read_text().splitlines()]
    (tmp_path / "others.csv").write_text("\n".join(rest))
    changed = train(
        capsys, place, "--text-condition", "tokens", "-o", out, "--resume", "--steps", "5", "--captions",
        tmp_path / "others.csv",
    )  # fmt: skip
    assert (changed.code, "other images, captions" in changed.err) == (2, True)
    write_folder(tmp_path / "wide", pooling_mode_mean_tokens=True)
    (tmp_path / "wide" / "tokenizer.json").write_text((place / "encoder" / "tokenizer.json").read_text() + "\n")
    more = ["--text-condition", "tokens", "-o", out, "--resume", "--steps", "5", "--text-encoder", tmp_path / "wide"]
    strange = train(capsys, place, *more)
    assert (strange.code, "another sentence encoder" in strange.err) == (2, True), strange.err
