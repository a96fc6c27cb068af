"""A text encoder that is no module says what to do instead."""

import pytest

from dtool.errors import UsageError
from dtool.models.text import TextEncoder


class Words(TextEncoder):
    names = ("text",)

    def encode(self, texts):
        return {"text": [len(text) for text in texts]}


def test_an_encoder_that_cannot_be_exported():
    with pytest.raises(UsageError, match=r"of this model \(Words\) is no PyTorch module") as error:
        Words().to_module()
    assert "as arrays" in error.value.hint
