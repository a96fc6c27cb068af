"""Prompts become vectors of length 1 or rows of tokens, each alone; the same by a graph and by transformers."""

import json

import numpy as np
import pytest

for package in ("torch", "tokenizers", "onnx", "onnxruntime"):
    pytest.importorskip(package)
import dtool.models.text_reference as references  # noqa: E402
from dtool.errors import DtoolError, UsageError  # noqa: E402
from dtool.models.runtime import Runtime  # noqa: E402
from dtool.models.token_ids import PromptWarning  # noqa: E402
from dtool.run.sentence_text import MissingText, open_for_checkpoint, open_for_training  # noqa: E402
from tests.support.tiny_sentences import WIDTH, write_folder  # noqa: E402

PROMPTS = ["a red square", "", "a red square", "blue", "a dark green picture of a square"]


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "encoder")


def open_text(folder, captions=("a red square",), *, pooled=True):
    return open_for_training(str(folder), captions, pooled=pooled, beside=folder.parent)


def test_a_vector_has_length_1_and_a_prompt_means_the_same_beside_others(folder):
    text = open_text(folder)
    vectors = text.encode(PROMPTS)["text"]
    assert vectors.shape == (5, WIDTH)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(vectors[0], vectors[2])
    np.testing.assert_array_equal(vectors[3], text.encode(["blue"])["text"][0])
    np.testing.assert_allclose(text.encode_together(PROMPTS), vectors, atol=1e-6)


def test_tokens_are_the_states_with_zeros_for_padding(folder):
    text = open_text(folder, pooled=False)
    states = text.encode(["a red square"])["text"][0]
    assert states.shape == (32, WIDTH)
    assert not states[5:].any()
    assert states[:5].any(axis=1).all()
    vector = open_text(folder).encode(["a red square"])["text"][0]
    mean = states[:5].mean(axis=0)
    np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-6)


def test_the_first_state_where_the_folder_says_so(tmp_path):
    folder = write_folder(tmp_path / "cls", pooling_mode_cls_token=True)
    first = open_text(folder, pooled=False).encode(["blue"])["text"][0, 0]
    vector = open_text(folder).encode(["blue"])["text"][0]
    np.testing.assert_allclose(vector, first / np.linalg.norm(first), atol=1e-6)


def test_a_row_is_as_long_as_the_longest_caption_and_a_longer_prompt_is_cut_with_a_warning(folder):
    assert open_text(folder, ["red"]).reference.length == 32
    text = open_text(folder, ["red " * 50])
    assert text.reference.length == 52
    with pytest.warns(PromptWarning, match="is cut off"):
        text.encode(["red " * 60])


def test_a_checkpoint_finds_its_encoder_beside_it_or_where_it_is_said(folder, tmp_path):
    reference = open_text(folder).reference
    assert reference.place == "encoder"
    found = open_for_checkpoint(reference, tmp_path / "x.pt", Runtime())
    assert found.encode(["red"])["text"].shape == (1, WIDTH)
    missing = open_for_checkpoint(reference, tmp_path / "deep" / "x.pt", Runtime())
    assert isinstance(missing, MissingText)
    with pytest.raises(DtoolError, match="is missing") as caught:
        missing.encode([""])
    assert "--text-encoder PATH" in caught.value.hint
    told = Runtime(text_encoder=str(folder))
    assert open_for_checkpoint(reference, tmp_path / "deep" / "x.pt", told).names == ("text",)
    with pytest.raises(DtoolError, match="there is no folder"):
        open_for_checkpoint(reference, tmp_path / "x.pt", Runtime(text_encoder="nowhere"))
    write_folder(tmp_path / "other", width=16)
    with pytest.raises(UsageError, match="another sentence encoder"):
        open_for_checkpoint(reference, tmp_path / "x.pt", Runtime(text_encoder=str(tmp_path / "other")))


def test_a_width_that_contradicts_the_config_is_refused(folder):
    (folder / "config.json").write_text(json.dumps({"hidden_size": 16}))
    with pytest.raises(DtoolError, match=r"makes states of shape \(32, 8\), not \(32, 16\)"):
        open_text(folder).encode(["red"])
    (folder / "config.json").write_text(json.dumps({"hidden_size": "wide"}))
    with pytest.raises(DtoolError, match="hidden_size 'wide'"):
        open_text(folder)


def test_a_reference_has_the_shape_of_a_vector_or_of_tokens(folder):
    reference = open_text(folder).reference
    assert reference.shape == (WIDTH,)
    assert reference.model_copy(update={"pooled": False}).shape == (32, WIDTH)
    again = references.TextReference.model_validate_json(reference.model_dump_json())
    assert again == reference
    with pytest.raises(ValueError, match="sha256"):
        references.TextReference.model_validate({**reference.model_dump(), "sha256": "abc"})
