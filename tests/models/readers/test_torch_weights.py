"""What files of weights hold, seen without loading them, and networks that are made to fit them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import dtool
from dtool.models.readers.torch_weights import fit_weights, list_keys, read_content, select

HINT = "give the right one"


def make() -> Any:
    return torch.nn.Linear(2, 3)


def fit(state: Any) -> Any:
    return fit_weights(make, state, Path("net.pt"), HINT)


def test_names_are_listed_without_loading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    torch.save({"model": make().state_dict(), "step": 3}, tmp_path / "net.pt")
    safetensors.save_file(make().state_dict(), tmp_path / "net.safetensors")
    monkeypatch.setattr(torch, "load", None)
    assert {"model", "step", "weight", "bias"} <= list_keys(tmp_path / "net.pt")
    assert {"weight", "bias"} <= list_keys(tmp_path / "net.safetensors")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\xff" * 64, b"\x10" + bytes(7) + b"{"])
@pytest.mark.parametrize("name", ["net.pt", "net.safetensors", "net.txt"])
def test_nothing_is_listed_of_what_is_no_such_file(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert list_keys(tmp_path / name) == frozenset()


def test_nothing_is_listed_of_other_things(tmp_path: Path) -> None:
    assert not any(map(list_keys, (tmp_path, tmp_path / "none.pt", "net.pt", make(), None)))


def test_a_file_that_holds_no_weights_by_name(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "net.pt")
    with pytest.raises(dtool.DtoolError, match="holds a list, not weights by name") as caught:
        read_content(tmp_path / "net.pt")
    assert caught.value.hint == "save a state dict"


def test_weights_of_half_precision_are_computed_with_in_single() -> None:
    own = make()
    module = fit({name: value.half() for name, value in own.state_dict().items()})
    assert module.weight.dtype == torch.float32
    assert torch.equal(module.weight, own.weight.half().float())
    assert not module.training
    assert not module.weight.requires_grad


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"more": torch.zeros(1)}, "has an unknown more: it is of another network"),
        ({"bias": torch.full((3,), torch.inf)}, "hold NaN or infinity .in bias."),
    ],
)
def test_weights_that_do_not_fit(change: dict[str, Any], cause: str) -> None:
    with pytest.raises(dtool.DtoolError, match=cause) as caught:
        fit({**make().state_dict(), **change})
    assert caught.value.hint


def test_entries_are_selected_by_how_they_begin() -> None:
    assert select({"a.b": 1, "a.c": 2, "b.a.d": 3}, "a.") == {"b": 1, "c": 2}


def test_a_network_that_cannot_be_made() -> None:
    with pytest.raises(dtool.DtoolError, match=r"there is no network of such weights \(.*32.*\)") as caught:
        fit_weights(lambda: torch.nn.GroupNorm(32, 48), {}, Path("net.pt"), HINT)
    assert caught.value.hint == HINT
