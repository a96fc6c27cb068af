"""Captions in training: each distinct one encoded once, one of a picture's drawn, the empty prompt in a tenth."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

torch = pytest.importorskip("torch")
for package in ("accelerate", "tokenizers", "onnx", "onnxruntime"):
    pytest.importorskip(package)
import dtool  # noqa: E402
from dtool.data.captions import Captions  # noqa: E402
from dtool.errors import DtoolError  # noqa: E402
from dtool.models import checkpoint  # noqa: E402
from dtool.run.sentence_text import SentenceText, open_for_training  # noqa: E402
from dtool.training.batch import make_batch  # noqa: E402
from dtool.training.captions import CaptionVectors  # noqa: E402
from dtool.training.config import TrainConfig  # noqa: E402
from dtool.training.session import Session, start  # noqa: E402
from tests.support.captioned_pictures import write_pictures, write_table  # noqa: E402
from tests.support.tiny_sentences import WIDTH, write_folder  # noqa: E402

SMALL = {"width": 8, "multipliers": (1, 1), "attention": (1,)}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("words")
    write_table(folder / "captions.csv", write_pictures(folder / "squares", 48))
    write_folder(folder / "encoder")
    return folder


def begin(place: Path, output: Path, **settings: Any) -> Session:
    config = TrainConfig.of(**{"steps": 2, "batch_size": 8, **settings})
    return start(
        str(place / "squares"), output, config, network=SMALL, device="cpu", captions=str(place / "captions.csv"),
        text_encoder=str(place / "encoder"),
    )  # fmt: skip


def encode(place: Path, captions: Captions) -> CaptionVectors:
    text = open_for_training(str(place / "encoder"), captions.texts, pooled=True, beside=place)
    return CaptionVectors.encode(text, captions)


def test_a_picture_is_told_each_of_its_captions_and_the_empty_prompt_in_its_share(place: Path) -> None:
    captions = Captions.of([["a red square", "red", "a"], ["a blue square"]])
    vectors = encode(place, captions)
    assert vectors.vectors.shape == (5, WIDTH)
    generator = torch.Generator().manual_seed(0)
    told = vectors.choose(captions, torch.tensor([0] * 4000 + [1] * 4000), 0.1, generator)
    shares = [[float((part == row).all(1).float().mean()) for row in vectors.vectors] for part in told.split(4000)]
    np.testing.assert_allclose(shares[0], [0.3, 0.3, 0.3, 0, 0.1], atol=0.03)
    np.testing.assert_allclose(shares[1], [0, 0, 0, 0.9, 0.1], atol=0.03)


def test_noise_on_captions_keeps_their_length_and_leaves_the_empty_prompt_alone(place: Path) -> None:
    captions = Captions.of(
        [[f"a {colour} {shape}" for shape in ("square", "dot")] for colour in ("red", "blue", "green")]
    )
    vectors = encode(place, captions)
    index = torch.tensor([0, 1, 2] * 1000)
    told = [vectors.choose(captions, index, 0.1, torch.Generator().manual_seed(0), noise) for noise in (0.0, 0.8, 0.8)]
    assert torch.equal(told[1], told[2]), "a function of the generator"
    torch.testing.assert_close(told[1].norm(dim=1), told[0].norm(dim=1))
    empty = (told[0] == vectors.vectors[-1]).all(1)
    assert 0.05 < empty.float().mean() < 0.15
    assert torch.equal(told[1][empty], told[0][empty])
    assert (told[1][~empty] != told[0][~empty]).any(1).all()


def test_noise_on_captions_lies_where_captions_differ_and_is_as_long_as_it_says() -> None:
    spread = torch.tensor([3.0, 1.0, 0.0])
    rows = torch.randn(4000, 3, generator=torch.Generator().manual_seed(0)) * spread + torch.tensor([0.0, 0.0, 50.0])
    vectors = CaptionVectors(cast("Any", None), rows)
    one = torch.tensor([[0.0, 0.0, 1.0]]).repeat(20_000, 1)
    moved = vectors.blur(one, 0.01, torch.Generator().manual_seed(1))
    off = (moved - one)[:, :2]
    assert np.isclose(float(off.norm(dim=1).square().mean().sqrt()), 0.01 / np.sqrt(3), rtol=0.03), (
        "u² is 1/3 on average"
    )
    assert np.isclose(float(off[:, 0].std() / off[:, 1].std()), 3, rtol=0.05)


def test_a_caption_that_many_pictures_have_is_encoded_once(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    own = SentenceText.encode_together

    def count(self: Any, texts: Any, together: int = 32) -> Any:
        asked.extend(texts)
        return own(self, texts, together)

    monkeypatch.setattr(SentenceText, "encode_together", count)
    session = begin(place, place / "x.pt")
    assert sorted(asked) == sorted({*session.trainer.images.captions.texts, ""})  # type: ignore[union-attr]
    assert len(asked) == 7


def test_the_null_value_is_the_empty_prompts_vector(place: Path) -> None:
    session = begin(place, place / "x.pt")
    text = open_for_training(str(place / "encoder"), ["a"], pooled=True, beside=place)
    (condition,) = session.spec.conditions
    np.testing.assert_allclose(condition.null, text.encode([""])["text"][0], atol=1e-6)
    (tokens,) = begin(place, place / "x.pt", text_condition="tokens").spec.conditions
    assert (tokens.shape, tokens.null) == ((32, WIDTH), None)


def test_what_is_told_is_a_function_of_seed_and_step_and_held_out_pictures_keep_their_captions(place: Path) -> None:
    one, again = (begin(place, place / "x.pt", validation=0.25).trainer for _ in range(2))
    batches = [make_batch(t.config, t.images, None, 3, t.times, t.text).told["text"] for t in (one, again)]
    assert torch.equal(*batches)
    session = begin(place, place / "x.pt", validation=0.25)
    held = session.held_out
    assert held is not None
    assert held.captions is not None
    assert len(held.captions) == len(held) == 12
    colours = held.pixels.reshape(12, 3, -1).mean(2).argmax(1)
    words = [held.captions.texts[k] for k in held.captions.places[:, 0]]
    assert [("red", "green", "blue")[c] for c in colours] == [word.split()[2] for word in words]
    assert session.trainer.validate(held).keys() == {"validation"}


def test_a_network_learns_colours_from_words_and_guidance_compares_with_the_empty_prompt(place: Path) -> None:
    session = begin(place, place / "words.pt", steps=300, batch_size=16, lr=4e-3, ema=0.98, prediction="x0")
    for _ in session.run():
        pass
    network = dtool.load(place / "words.pt")
    told: dict[str, Any] = {"steps": 4, "n": 6, "prompt": ["a bright red square"] * 3 + ["a bright blue square"] * 3}
    drawn = dtool.sample(network, "ddim", **told).x0.mean(axis=(2, 3))
    assert (drawn[:3].argmax(1) == 0).all()
    assert (drawn[3:].argmax(1) == 2).all()
    strong = dtool.sample(network, "ddim", guidance=3.0, **told)
    said = dtool.sample(network, "ddim", guidance=3.0, negative="", **told)
    null = network.spec.conditions[0].null
    given = dtool.sample(network, "ddim", guidance=3.0, without={"text": np.array(null, np.float32)}, **told)
    np.testing.assert_array_equal(strong.x0, said.x0)
    np.testing.assert_allclose(strong.x0, given.x0, atol=1e-4)
    assert np.abs(strong.x0.mean(axis=(2, 3)) - drawn).max() > 1e-3


def test_a_checkpoint_that_contradicts_its_encoder_is_refused(place: Path) -> None:
    session = begin(place, place / "y.safetensors")
    session.save()
    read = checkpoint.read(place / "y.safetensors")
    assert read.text is not None
    assert read.text.place == "encoder"
    wrong = read.text.model_copy(update={"width": WIDTH + 1})
    checkpoint.save(
        place / "z.safetensors", spec=session.spec, config=session.trainer.network.config, text=wrong,
        state_dict=session.trainer.ema.average,
    )  # fmt: skip
    with pytest.raises(DtoolError, match="is described otherwise"):
        checkpoint.read(place / "z.safetensors").build()
