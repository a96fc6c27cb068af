"""Text encoders: which arrays they make, of which prompts, and which of their parts are missing."""

import numpy as np
import pytest

from dtool.errors import DtoolError

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
from dtool.models.readers.diffusers_text import TextParts, make_text  # noqa: E402
from dtool.models.readers.diffusers_tokenizer import adopt_tokenizer  # noqa: E402
from tests.support import tiny_pipelines as tiny  # noqa: E402

UNET = "UNet2DConditionModel"


def parts(zero_empty=False, constants=None, **encoders):
    tokenizers = {
        name.replace("text_encoder", "tokenizer"): lambda length: adopt_tokenizer(tiny.clip_tokenizer(), length)
        for name in encoders
    }
    return TextParts(encoders=encoders, tokenizers=tokenizers, zero_empty=zero_empty, constants=constants or {})


def test_a_prompt_is_the_same_beside_any_others():
    text = make_text(UNET, parts(text_encoder=tiny.clip()), {"text": (None, 32)})
    assert text.names == ("text",)
    many = text.encode(["a", "cat", "a"])["text"]
    assert many.shape == (3, 16, 32)
    assert many.dtype == np.float32
    np.testing.assert_array_equal(many[0], many[2])
    np.testing.assert_array_equal(many[1], text.encode(["cat"])["text"][0])


@pytest.mark.parametrize("zero", [False, True])
def test_the_empty_prompt_may_be_zeros(zero):
    shapes = {"text": (None, 64), "pooled": (24,), "time_ids": (6,)}
    made = parts(
        zero, {"time_ids": np.ones(6, np.float32)}, text_encoder=tiny.clip(), text_encoder_2=tiny.clip(projection=24)
    )
    empty, word = (make_text(UNET, made, shapes).encode([text]) for text in ("", "a"))
    assert (np.abs(empty["text"]).max() == 0) == zero
    assert (np.abs(empty["pooled"]).max() == 0) == zero
    assert np.abs(word["text"]).max() > 0
    assert empty["time_ids"].tolist() == word["time_ids"].tolist() == [6 * [1]]


def test_none():
    assert make_text(UNET, parts(), {"text": (None, 32)}) is None
    assert make_text("UNet2DModel", parts(text_encoder=tiny.clip()), {}) is None


@pytest.mark.parametrize(
    ("kind", "shapes", "cause"),
    [
        (
            UNET,
            {"text": (None, 768)},
            "the text encoders make text of shape (16, 32), and the network takes (None, 768)",
        ),
        (UNET, {"text": (None, 64), "pooled": (24,)}, "the pipeline has no text_encoder_2, which reads its prompts"),
        ("FluxTransformer2DModel", {"text": (None, 32), "pooled": (32,)}, "the pipeline has no text_encoder_2"),
        ("SD3Transformer2DModel", {"text": (None, 32), "pooled": (40,)}, "the pipeline has no text_encoder_2"),
    ],
)
def test_refused(kind, shapes, cause):
    with pytest.raises(DtoolError) as caught:
        make_text(kind, parts(text_encoder=tiny.clip()), shapes)
    assert cause in str(caught.value)
    assert caught.value.hint.startswith("use the ")
