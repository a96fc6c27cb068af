"""Weights of whatever origin are read by one reader: what it gives, what it refuses, and what it is told to say."""

from __future__ import annotations

import os
import pickle
from functools import partial
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
save_safetensors = pytest.importorskip("safetensors.torch").save_file

from dtool.errors import DtoolError  # noqa: E402
from dtool.models.weight_file import read_content, read_metadata, require_fit, require_numbers  # noqa: E402
from dtool.util import memory  # noqa: E402

STATE = {"weight": torch.arange(6.0).reshape(3, 2), "bias": torch.ones(3)}


def refuse(cause: str, action: Any, *words: Any, **named: Any) -> str:
    """The hint of an error of one line, with one line of remedy."""
    with pytest.raises(DtoolError, match=cause) as caught:
        action(*words, **named)
    assert caught.value.hint
    assert "\n" not in str(caught.value) + caught.value.hint
    return caught.value.hint


@pytest.mark.parametrize("name", ["net.pt", "net.bin", "net.safetensors", "net.SAFETENSORS"])
def test_what_was_saved_is_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    (save_safetensors if name.lower().endswith("s") else torch.save)(STATE, path)
    content = read_content(path)
    assert content.keys() == STATE.keys()
    assert all(torch.equal(content[name], STATE[name]) for name in STATE)


@pytest.mark.parametrize(
    ("content", "cause", "remedy"),
    [
        (b"PK\x03\x04 and no more", "the file is damaged", "copy or download it again"),
        (pickle.dumps({"a": 1}), "in a format that PyTorch wrote before 1.6", "save it again with torch.save"),
        (pickle.dumps(Path(), 2), r"run code that weights do not need \(pathlib", "torch.save(network.state_dict()"),
        (b"", r"the file is damaged \(it is empty\)", "copy or download it again"),
    ],
)
def test_files_that_are_not_loaded(
    tmp_path: Path, content: bytes, cause: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was loaded"))
    (tmp_path / "net.pt").write_bytes(content)
    assert remedy in refuse(cause, read_content, tmp_path / "net.pt")


def test_whoever_reads_says_what_to_do_about_a_file_that_is_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    for content in (pickle.dumps({"a": 1}), pickle.dumps(Path())):
        path.write_bytes(content)
        assert refuse(str(path), read_content, path, remedy="export it") == "export it"


def test_a_damaged_safetensors(tmp_path: Path) -> None:
    (tmp_path / "net.safetensors").write_bytes(b"\x08" + bytes(7) + b"not json")
    for read in (read_content, read_metadata):
        assert "again" in refuse(r"the file is damaged \(.+\)", read, tmp_path / "net.safetensors")


def test_nothing_that_is_no_file_is_opened(tmp_path: Path) -> None:
    """A FIFO would be waited for without end."""
    for name in ("net.pt", "net.safetensors"):
        os.mkfifo(tmp_path / name)
        refuse("it is a FIFO", read_content, tmp_path / name)
    refuse("it is a FIFO", read_metadata, tmp_path / "net.safetensors")
    refuse("there is no file", read_content, tmp_path / "none.pt")


def test_a_file_too_large_for_the_memory_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is in memory three times before its network runs."""
    monkeypatch.setattr(memory, "MIN_CHECKED_BYTES", 0)
    monkeypatch.setattr(memory, "get_usage", lambda: 0)
    for path, save in ((tmp_path / "net.pt", torch.save), (tmp_path / "net.safetensors", save_safetensors)):
        save(STATE, path)
        room = 3 * path.stat().st_size
        monkeypatch.setattr(memory, "get_limit", partial(float, room))
        assert read_content(path).keys() == STATE.keys()
        monkeypatch.setattr(memory, "get_limit", partial(float, room - 1))
        assert "DTOOL_MEMORY_LIMIT" in refuse("of memory; there are", read_content, path)


def test_metadata(tmp_path: Path) -> None:
    save_safetensors(STATE, tmp_path / "net.safetensors", metadata={"config": "{}"})
    save_safetensors(STATE, tmp_path / "bare.safetensors")
    torch.save(STATE, tmp_path / "net.pt")
    assert read_metadata(tmp_path / "net.safetensors") == {"config": "{}"}
    assert read_metadata(tmp_path / "bare.safetensors") == read_metadata(tmp_path / "net.pt") == {}


@pytest.mark.parametrize(
    ("bias", "cause"),
    [
        (3, "net.pt: bias is not a tensor"),
        (torch.full((3,), torch.inf), r"hold NaN or infinity \(in bias\)"),
        (torch.zeros(1).expand(3), "bias stands for more numbers than the file holds"),
        (torch.zeros(3).to_sparse(), "bias stands for more numbers than the file holds"),
    ],
)
def test_weights_that_are_no_numbers(bias: Any, cause: str) -> None:
    require_numbers(STATE, "net.pt")
    refuse(cause, require_numbers, STATE | {"bias": bias}, "net.pt")


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"bias": None}, "net.pt: the state dict lacks bias: it is of another network"),
        ({"bias": None, "weight": None}, "the state dict lacks bias and 1 more"),
        ({"more": torch.zeros(1)}, "has an unknown more"),
        ({"bias": torch.zeros(2)}, r"has bias of shape \(2,\), not \(3,\),: it is of another network"),
    ],
)
def test_weights_of_another_network(change: dict[str, Any], cause: str) -> None:
    require_fit(STATE, dict(STATE), "net.pt", "unused")
    state = {name: value for name, value in {**STATE, **change}.items() if value is not None}
    assert refuse(cause, require_fit, STATE, state, "net.pt", "give the right one") == "give the right one"
