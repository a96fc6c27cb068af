"""A sentence encoder is found in a folder or an installed package, and what it lacks is said."""

import sys

import pytest

pytest.importorskip("tokenizers")
pytest.importorskip("onnx")
from dtool.errors import DtoolError
from dtool.run.sentence_folder import locate_encoder
from tests.support.tiny_sentences import make_tokenizer, write_folder


def test_a_graph_goes_before_weights_and_a_fingerprint_is_of_both_files(tmp_path):
    folder = write_folder(tmp_path / "one")
    found = locate_encoder(folder)
    assert found.is_graph
    assert found.pooling == "mean"
    assert found.sha256 == locate_encoder(write_folder(tmp_path / "same")).sha256
    (folder / "tokenizer.json").write_text((folder / "tokenizer.json").read_text() + " ")
    assert locate_encoder(folder).sha256 != found.sha256
    inner = tmp_path / "hub"
    (inner / "onnx").mkdir(parents=True)
    (folder / "model.onnx").rename(inner / "onnx" / "model.onnx")
    (folder / "tokenizer.json").rename(inner / "tokenizer.json")
    assert locate_encoder(inner).weights == inner / "onnx" / "model.onnx"


def test_an_installed_package_is_found_by_its_name_and_not_imported(tmp_path, monkeypatch):
    package = tmp_path / "tiny_words_package"
    write_folder(package / "model")
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (tmp_path / "bare_words_package").mkdir()
    (tmp_path / "bare_words_package" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = locate_encoder("tiny-words-package")
    assert (found.package, found.path) == ("tiny-words-package", package / "model")
    assert "tiny_words_package" not in sys.modules
    with pytest.raises(DtoolError, match=r"holds no tokenizer\.json"):
        locate_encoder("bare_words_package")


def test_what_is_no_encoder_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DtoolError, match=r"holds no tokenizer\.json, which reads the prompts"):
        locate_encoder(tmp_path / "empty")
    make_tokenizer().save(str(tmp_path / "empty" / "tokenizer.json"))
    with pytest.raises(DtoolError, match="holds no encoder beside"):
        locate_encoder(tmp_path / "empty")
    with pytest.raises(DtoolError, match="no installed package of that name"):
        locate_encoder("no/where")
    with pytest.raises(DtoolError, match="is a file"):
        locate_encoder(tmp_path / "empty" / "tokenizer.json")


def test_other_ways_of_pooling_and_damaged_files_are_refused(tmp_path):
    assert locate_encoder(write_folder(tmp_path / "cls", pooling_mode_cls_token=True)).pooling == "cls"
    with pytest.raises(DtoolError, match="pooling_mode_max_tokens"):
        _ = locate_encoder(write_folder(tmp_path / "max", pooling_mode_max_tokens=True)).pooling
    folder = write_folder(tmp_path / "bad")
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(DtoolError, match="is no tokenizer"):
        locate_encoder(folder).make_tokenizer(32)
    (folder / "config.json").write_text("[1]")
    with pytest.raises(DtoolError, match="is no JSON object"):
        _ = locate_encoder(folder).config


def test_rows_are_filled_up_with_what_the_tokenizer_knows(tmp_path):
    tokenizer = locate_encoder(write_folder(tmp_path / "one")).make_tokenizer(6)
    assert tokenizer.encode("a red").ids == [2, 4, 5, 3, 0, 0]
    assert len(tokenizer.encode("a red " * 9).ids) == 6
