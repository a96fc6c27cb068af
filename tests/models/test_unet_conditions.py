"""What lies beside a U-Net's input, and a network that says otherwise than its file."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
from pydantic import ValidationError  # noqa: E402

from dtool.errors import DtoolError  # noqa: E402
from dtool.models import checkpoint  # noqa: E402
from dtool.models.conditions import Condition  # noqa: E402
from dtool.models.spec import NetworkSpec  # noqa: E402
from dtool.models.unet import UNet, UNetConfig  # noqa: E402
from dtool.models.unet_conditions import (  # noqa: E402
    CrossAttention,
    NumberEmbedding,
    PictureInput,
    TextInput,
    VectorEmbedding,
    lay_beside,
)

MASK = PictureInput(name="mask", channels=1)


def test_a_hidden_part_is_not_looked_at() -> None:
    x, known = torch.zeros(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    mask = torch.where(torch.rand(2, 1, 4, 4) > 0.5, 1.0, -1.0)
    inputs = (PictureInput(name="known", channels=3, hidden_by="mask"), MASK)
    laid = lay_beside(x, inputs, {"known": known, "mask": mask})
    other = torch.where(mask > 0, torch.rand_like(known), known)
    assert laid.shape == (2, 7, 4, 4)
    assert torch.equal(laid, lay_beside(x, inputs, {"known": other, "mask": mask}))
    assert torch.equal(laid[:, 3:6], known * (mask < 0))
    assert torch.equal(laid[:, 6:], mask)


def test_a_small_picture_is_enlarged_to_the_size_of_x() -> None:
    low = torch.arange(2.0)[:, None, None, None].expand(2, 1, 3, 2)
    laid = lay_beside(torch.zeros(2, 1, 6, 4), (PictureInput(name="low", channels=1, factor=2),), {"low": low})
    assert torch.equal(laid[:, 1:], low[:, :, :1, :1].expand(2, 1, 6, 4))


def test_numbers_change_nothing_at_first_and_can_be_learned() -> None:
    embedding = NumberEmbedding(("level", "size"), 8)
    told = {"level": torch.rand(3), "size": torch.rand(3)}
    assert torch.equal(embedding(told), torch.zeros(3, 8))
    embedding(told).sum().backward()
    assert float(embedding.out.weight.grad.abs().max()) > 0


def test_a_vector_is_heard_whatever_its_scale() -> None:
    embedding, vector = VectorEmbedding(6, 8), torch.randn(3, 6)
    made = embedding(vector)
    assert made.shape == (3, 8)
    torch.testing.assert_close(embedding(20 * vector), made, atol=1e-3, rtol=1e-3)
    assert float((embedding(-vector) - made).detach().abs().max()) > 1e-3


def test_cross_attention_is_that_of_the_paper_and_begins_as_the_identity() -> None:
    layer, x, tokens = CrossAttention(16, 8, 6), torch.randn(2, 16, 3, 5), torch.randn(2, 4, 6)
    assert torch.equal(layer(x, tokens), x)
    torch.nn.init.normal_(layer.out.weight)
    q = layer.q(layer.norm(x)).flatten(2).transpose(1, 2).reshape(2, 15, 2, 8)
    k, v = layer.kv(layer.token_norm(tokens)).chunk(2, dim=-1)
    k, v = (each.reshape(2, 4, 2, 8) for each in (k, v))
    weights = torch.softmax(torch.einsum("bqhc,bkhc->bhqk", q, k) / 8**0.5, dim=-1)
    mixed = torch.einsum("bhqk,bkhc->bqhc", weights, v).reshape(2, 15, 16).transpose(1, 2).reshape(2, 16, 3, 5)
    torch.testing.assert_close(layer(x, tokens), x + layer.out(mixed), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("length", [None, 5])
def test_a_u_net_hears_its_text(length: int | None) -> None:
    text = TextInput(width=6, length=length)
    network = UNet(UNetConfig(channels=1, width=8, multipliers=(1, 1), attention=(1,), text=text)).eval()
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    x, t, told = torch.randn(2, 1, 8, 8), torch.tensor([3.0, 500.0]), torch.randn(2, *text.shape)
    made = network(x, t, text=told)
    assert made.shape == x.shape
    changed = network(x, t, text=torch.stack([told[0], -told[1]]))
    assert torch.equal(changed[0], made[0])
    assert float((changed[1] - made[1]).abs().max()) > 1e-4


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"pictures": (MASK,), "numbers": ("mask",)}, "share a name"),
        ({"numbers": ("label",)}, "share a name"),
        ({"numbers": ("text",), "text": TextInput(width=4)}, "share a name"),
        ({"pictures": (PictureInput(name="a", channels=3, hidden_by="mask"),)}, "what hides a picture"),
        ({"pictures": (MASK, PictureInput(name="a", channels=3, factor=2, hidden_by="mask"))}, "what hides a picture"),
    ],
)
def test_conditions_that_contradict_are_refused(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        UNetConfig(channels=3, **fields)


@pytest.mark.parametrize(
    "conditions", [(), (Condition(name="low", shape=(3, 8, 8)),), (Condition(name="high", shape=(3, 4, 4)),)]
)
def test_a_file_that_describes_other_conditions_is_refused(conditions: Any, tmp_path: Path) -> None:
    low = PictureInput(name="low", channels=3, factor=2)
    config = UNetConfig(channels=3, width=8, multipliers=(1,), pictures=(low,))
    told = Condition(name="low", shape=(3, 4, 4))
    for own in (conditions, (told,)):
        spec = NetworkSpec(shape=(3, 8, 8), schedule="linear", conditions=own)
        checkpoint.save(tmp_path / "m.pt", spec=spec, config=config, state_dict=UNet(config).state_dict())
        if own == (told,):
            assert checkpoint.read(tmp_path / "m.pt").build() is not None
            continue
        with pytest.raises(DtoolError, match="takes low, and is described otherwise"):
            checkpoint.read(tmp_path / "m.pt").build()
