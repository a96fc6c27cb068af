"""Which network a command takes, and where it runs."""

from __future__ import annotations

from dataclasses import fields

import pytest

from dtool.cli.flags.loading import DESCRIPTION, RUNTIME, is_model, open_network
from dtool.cli.flags.sampler_file import SAMPLER_FILE
from dtool.errors import UsageError
from dtool.models.description import Description
from dtool.models.runtime import Runtime

# Said in Python alone: of a run it is an option of its own, --clip; nobody types the rest.
WITHOUT_FLAG = {
    "class_names", "clip", "clip_range", "threshold", "threshold_max", "conditions", "betas", "levels",
    "statistics",
}  # fmt: skip


@pytest.mark.parametrize(
    ("group", "without"),
    [(RUNTIME, set()), (DESCRIPTION, WITHOUT_FLAG), (SAMPLER_FILE, set())],
    ids=lambda p: getattr(getattr(p, "kind", None), "__name__", None),
)
def test_every_field_has_a_flag(group, without):
    assert group.flags.keys() | without == {field.name for field in fields(group.kind)}
    assert not group.flags.keys() & without
    assert group.parsers.keys() <= group.flags.keys()


@pytest.mark.parametrize(
    ("word", "named"),
    [("m.onnx", True), ("M.PT", True), ("package.module:factory", True), ("ddim", False), ("ddim:eta=0.5", False)],
)
def test_a_network_s_file_is_told_from_a_recipe(word, named):
    assert is_model(word) == named


def test_a_closed_form_runs_as_it_is():
    assert open_network("gmm:d=2").shape == open_network("gmm:d=2", Runtime(device="cpu")).shape == (2,)
    for runtime, description in (
        (Runtime(device="cuda"), Description()),
        (Runtime(backend="torch"), Description()),
        (Runtime(device="cpu", time_limit=1), Description()),
        (Runtime(), Description(schedule="linear")),
    ):
        with pytest.raises(UsageError, match="gmm:d=2 is a closed form"):
            open_network("gmm:d=2", runtime, description)


@pytest.mark.parametrize(
    ("runtime", "cause"),
    [(Runtime(backend="torch"), "not on torch"), (Runtime(compile=True), "only PyTorch compiles")],
)
def test_the_network_inside_the_package_is_no_network_of_pytorch(runtime, cause):
    with pytest.raises(UsageError, match=f"inside the package runs on onnxruntime, .*{cause}"):
        open_network(None, runtime)


def test_a_file_is_opened_where_and_as_it_is_said(monkeypatch):
    calls = []
    monkeypatch.setattr("dtool.run.load.open_source", lambda *words: calls.append(words))
    runtime, description = Runtime(device="cuda:1", time_limit=3.0), Description(schedule="cosine")
    open_network("m.onnx", runtime, description)
    assert calls == [("m.onnx", description, runtime)]
