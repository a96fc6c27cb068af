"""What readers have in common: the user's words, the JSON beside weights, packages, networks."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import dtool
from dtool.models.description import Description
from dtool.models.origin import Origin
from dtool.models.readers.opening import (
    build_spec,
    find_settings,
    import_package,
    open_module,
    read_settings,
    read_words,
)

PATH = Path("net.pt")
SPEC = dtool.NetworkSpec(shape=(2,), schedule="cosine")


def test_the_users_words_are_taken_where_the_file_says_nothing() -> None:
    assert read_words(PATH, Description(shape=(1, 2, 2), clip=False), ("shape", "clip")) == {
        "shape": (1, 2, 2), "clip": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("description", "cause", "remedy"),
    [
        (Description(classes=3), "net.pt says its classes itself", "leave out --num-classes (spec=)"),
        (Description(learned_variance=True), "says its learned_variance itself", "leave out --learned-variance"),
        (SPEC, "net.pt says itself what it is", "give single fields that it does not say"),
    ],
)  # fmt: skip
def test_words_that_the_file_says_itself(description: Any, cause: str, remedy: str) -> None:
    with pytest.raises(dtool.errors.UsageError, match=cause) as caught:
        read_words(PATH, description, ("shape",))
    assert remedy in caught.value.hint


def test_a_field_that_is_refused() -> None:
    with pytest.raises(dtool.errors.UsageError, match=r"shape=\(0,\) is refused") as caught:
        build_spec(PATH, shape=(0,), schedule="cosine")
    assert caught.value.hint


@pytest.mark.parametrize("name", ["net.pt.json", "net.json", "config.json"])
def test_the_json_beside_weights(tmp_path: Path, name: str) -> None:
    assert find_settings(tmp_path / "net.pt") is None
    (tmp_path / name).write_text('{"a": 1}')
    found = find_settings(tmp_path / "net.pt")
    assert found == tmp_path / name
    assert read_settings(found) == {"a": 1}


@pytest.mark.parametrize(
    ("text", "cause"), [("{", "is no JSON"), ("3", "is no JSON object"), ("[" * 10**5, "it is nested too deeply")]
)
def test_settings_that_are_none(tmp_path: Path, text: str, cause: str) -> None:
    (tmp_path / "net.json").write_text(text)
    with pytest.raises(dtool.DtoolError, match=cause) as caught:
        read_settings(tmp_path / "net.json")
    assert caught.value.hint


def test_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nothing_of_this_name", None)
    with pytest.raises(dtool.DtoolError, match="nothing_of_this_name is needed to run it") as caught:
        import_package("nothing_of_this_name", "nothing", "run it")
    assert caught.value.hint == "pip install nothing"


def test_a_package_that_does_not_fit_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_package.py").write_text("raise RuntimeError('operator nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(dtool.DtoolError, match="broken cannot be imported") as caught:
        import_package("broken_package", "broken", "run it")
    assert caught.value.hint == "install releases of it, torch and torchvision that fit together"


def test_a_package_that_is_there() -> None:
    assert isinstance(import_package("json", "json", "read"), ModuleType)


def test_a_module_is_a_network_with_its_origin() -> None:
    pytest.importorskip("torch")
    origin = Origin(reader="test", what="a test's")
    network = open_module(PATH, lambda x, t: x, SPEC, dtool.Runtime(device="cpu"), origin)
    assert network.origin is origin
    assert network.backend == "torch"


def test_another_backend_is_refused() -> None:
    runtime = dtool.Runtime(device="cpu", backend="onnxruntime")
    with pytest.raises(dtool.errors.UsageError, match="runs on torch, not on onnxruntime") as caught:
        open_module(PATH, lambda x, t: x, SPEC, runtime, Origin(reader="test", what="a test's"))
    assert caught.value.hint == "leave --backend out"
