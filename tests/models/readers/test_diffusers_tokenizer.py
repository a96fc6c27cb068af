"""Prompts as token numbers: those of transformers, padding as the folder says, and a warning of what is cut off."""

import json
import warnings

import pytest

from dtool.errors import DtoolError

pytest.importorskip("tokenizers")
transformers = pytest.importorskip("transformers")
from dtool.models.readers.diffusers_tokenizer import adopt_tokenizer, open_tokenizer  # noqa: E402
from dtool.models.token_ids import PromptWarning  # noqa: E402
from tests.support import tiny_pipelines as tiny  # noqa: E402

PROMPTS = ["", "a cat", "Cat!  hello, 'it's'", "ca!t <|endoftext|> x", "naïve 7"]


def theirs(tokenizer, texts, length):
    return tokenizer(texts, padding="max_length", max_length=length, truncation=True).input_ids


@pytest.mark.parametrize("pad", ["<|endoftext|>", "!"])
@pytest.mark.parametrize("old", [False, True], ids=["tokenizer.json", "vocab.json"])
def test_the_numbers_are_those_of_transformers(tmp_path, pad, old):
    """Where "!" pads, each "!" of a prompt becomes padding: so its makers have it."""
    tokenizer = tiny.clip_tokenizer(pad=pad)
    tokenizer.save_pretrained(tmp_path)
    if old:
        write_old_files(tmp_path, pad)
        tokenizer = transformers.CLIPTokenizer.from_pretrained(tmp_path)
    ours, mask = open_tokenizer(tmp_path, tmp_path)(PROMPTS)
    assert ours == theirs(tokenizer, PROMPTS, 16)
    assert adopt_tokenizer(tokenizer)(PROMPTS)[0] == ours
    assert mask[0] == [1, 1] + 14 * [0]
    assert ours[0][2:] == 14 * [tokenizer.pad_token_id]


def write_old_files(folder, pad):
    """As the folders of 2022 hold them: no tokenizer.json, the special tokens in a file of their own."""
    (folder / "tokenizer.json").unlink()
    vocab, merges = tiny.alphabet()
    (folder / "vocab.json").write_text(json.dumps(vocab))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in merges) + "\n")
    end = {"content": "<|endoftext|>", "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
    special = {"bos_token": end | {"content": "<|startoftext|>"}, "eos_token": end, "unk_token": end, "pad_token": pad}
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"model_max_length": 16, "tokenizer_class": "CLIPTokenizer", "pad_token": "<|endoftext|>"})
    )


def test_t5_ends_with_its_end_token(tmp_path):
    tokenizer = tiny.t5_tokenizer()
    tokenizer.save_pretrained(tmp_path)
    ours, _ = open_tokenizer(tmp_path, tmp_path, 12)(["a cat", "cat"])
    assert ours == theirs(tokenizer, ["a cat", "cat"], 12)


def test_what_is_cut_off_is_told(tmp_path):
    tokenizer = tiny.clip_tokenizer(length=8)
    tokenizer.save_pretrained(tmp_path)
    opened, text = open_tokenizer(tmp_path, tmp_path), "cat cat cat cat cat cat dog end"
    with pytest.warns(PromptWarning, match=r"has 14 tokens, and 8 are read: 'dog end' is cut off"):
        ours, _ = opened([text])
    assert ours == theirs(tokenizer, [text], 8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened(["cat cat cat cat cat cat"])


def refuse(folder, cause, remedy):
    with pytest.raises(DtoolError) as caught:
        open_tokenizer(folder, folder)
    assert cause in str(caught.value)
    assert remedy in caught.value.hint
    assert "\n" not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize(
    ("file", "text", "cause", "remedy"),
    [
        ("tokenizer_config.json", "{}", "its vocabulary lacks '<pad>', which pads", "download the whole folder"),
        ("tokenizer_config.json", '{"pad_token": "!"}', "model_max_length is None", "write 2 … 4096 there"),
        (
            "tokenizer_config.json",
            '{"pad_token": "!", "model_max_length": 1e30}',
            "model_max_length is 1e+30",
            "write 2 … 4096 there",
        ),
        ("tokenizer_config.json", '{"pad_token": "no"', "the file is damaged", "download the whole folder"),
        ("tokenizer_config.json", None, "there is no file", "download the whole folder"),
        ("tokenizer.json", "{}", "tokenizer.json: the file is damaged", "download the whole folder"),
        ("tokenizer.json", None, "holds neither tokenizer.json nor vocab.json with merges.txt", "save_pretrained"),
    ],
)
def test_refused(tmp_path, file, text, cause, remedy):
    tiny.clip_tokenizer().save_pretrained(tmp_path)
    if text is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_text(text)
    refuse(tmp_path, cause, remedy)


@pytest.mark.parametrize("merges", ["#version\nq z\n", "\n", "ca\n"])
def test_merges_that_are_not_the_vocabularys(tmp_path, merges):
    tiny.clip_tokenizer().save_pretrained(tmp_path)
    write_old_files(tmp_path, "!")
    (tmp_path / "merges.txt").write_text(merges)
    if merges == "\n":
        assert open_tokenizer(tmp_path, tmp_path)(["a"])[0][0][0] > 0  # a vocabulary of letters needs none
    else:
        refuse(tmp_path, str(tmp_path), "download the whole folder")
