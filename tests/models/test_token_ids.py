"""Prompts as token numbers, by the tokenizers that lie beside a sampler's file."""

from __future__ import annotations

import importlib.util
import warnings

import numpy as np
import pytest

from dtool.errors import DtoolError
from dtool.models.token_ids import PromptWarning, encode_empty, open_token_ids

tokenizers = pytest.importorskip("tokenizers")


@pytest.fixture
def path(tmp_path):
    """A sampler's file with a tokenizer of three words beside it."""
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"<unk>": 0, "a": 1, "cat": 2}, unk_token="<unk>"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    words.enable_padding(length=4)
    words.save(str(tmp_path / "app.tokenizer.json"))
    return tmp_path / "app.onnx"


def test_a_row_for_each_prompt(path):
    text = open_token_ids({"input_ids": "app.tokenizer.json"}, path)
    assert text.names == ("input_ids",)
    rows = text.encode(["a cat", ""])["input_ids"]
    assert rows.dtype == np.int64
    assert rows.tolist() == [[1, 2, 0, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize("file", ["gone.json", "../app.tokenizer.json"])
def test_a_tokenizer_that_is_not_beside_the_file(file, path):
    with pytest.raises(DtoolError, match="needs its tokenizer"):
        open_token_ids({"input_ids": file}, path)


def test_a_damaged_tokenizer(path):
    path.with_name("app.tokenizer.json").write_text("{}")
    with pytest.raises(DtoolError, match="is damaged"):
        open_token_ids({"input_ids": "app.tokenizer.json"}, path)


def test_without_the_library_there_are_no_prompts(path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert open_token_ids({"input_ids": "app.tokenizer.json"}, path) is None


def test_what_is_cut_off_is_told(path):
    beside = path.with_name("app.tokenizer.json")
    words = tokenizers.Tokenizer.from_file(str(beside))
    words.enable_truncation(2)
    words.enable_padding(length=2)
    words.save(str(beside))
    text = open_token_ids({"input_ids": beside.name}, path)
    with pytest.warns(
        PromptWarning, match=r"'a a cat cat a' is longer than the 2 tokens that are read: 'cat cat a' is"
    ):
        assert text.encode(["a a cat cat a"])["input_ids"].tolist() == [[1, 1]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text.encode(["a cat"])


@pytest.mark.parametrize("kind", ["train_bert", "train_clip"])
def test_the_empty_prompt_is_a_row_between_its_special_tokens(kind):
    from tests.support import trained_tokenizers as trained

    tokenizer = getattr(trained, kind)()
    assert list(encode_empty(tokenizer.to_str(), trained.LENGTH)) == tokenizer.encode("").ids
    tokenizer.no_padding()
    with pytest.raises(DtoolError, match="makes 2 numbers of the empty prompt, and the text encoder reads 20"):
        encode_empty(tokenizer.to_str(), trained.LENGTH)
