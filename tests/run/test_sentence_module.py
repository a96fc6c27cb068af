"""An encoder of transformers, of random weights, from its folder: as the library itself pools, and what is refused."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("tokenizers")
from dtool.errors import DtoolError  # noqa: E402
from dtool.run.sentence_folder import locate_encoder  # noqa: E402
from dtool.run.sentence_module import load_encoder  # noqa: E402
from dtool.run.sentence_text import open_for_training  # noqa: E402
from tests.support.tiny_sentences import WORDS, make_tokenizer  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A BERT of one layer, saved as transformers does."""
    place = tmp_path_factory.mktemp("bert")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = transformers.BertConfig(
            vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
            max_position_embeddings=64,
        )  # fmt: skip
        transformers.BertModel(config).save_pretrained(place)
    make_tokenizer().save(str(place / "tokenizer.json"))
    return place


def test_vectors_are_what_transformers_makes_pooled_over_what_is_no_padding(folder):
    text = open_for_training(str(folder), ["a red square"], pooled=True, beside=folder)
    assert text.reference.width == 16
    found = text.encode(["a red square", "blue"])["text"]
    module = transformers.BertModel.from_pretrained(folder, local_files_only=True).eval()
    with torch.no_grad():
        states = module(input_ids=torch.tensor([[2, 4, 5, 10, 3]])).last_hidden_state[0].mean(dim=0).numpy()
    np.testing.assert_allclose(found[0], states / np.linalg.norm(states), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)


def test_weights_that_do_not_fit_are_refused(folder, tmp_path):
    for name in ("tokenizer.json", "model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    config = json.loads((folder / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 2}))
    with pytest.raises(DtoolError, match="lacks encoder"):
        load_encoder(locate_encoder(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "nothing", "hidden_size": 16}))
    with pytest.raises(DtoolError, match="transformers makes no encoder of it"):
        load_encoder(locate_encoder(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(DtoolError, match="does not say how wide it is"):
        open_for_training(str(tmp_path), ["a"], pooled=True, beside=tmp_path)
