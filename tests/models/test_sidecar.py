"""What was said of a model is remembered beside it: added to, overridden, and refused where it is broken."""

import json
import os

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError
from dtool.models.conditions import Condition
from dtool.models.description import UNDESCRIBED, Description
from dtool.models.sidecar import add_remembered, locate_sidecar, remember
from tests.support.data_files import sparse
from tests.support.marks import needs_fifos

TEXT = Condition(name="text", shape=(None, 4), null=0)


@pytest.fixture
def model(folder):
    (folder / "net.bin").write_bytes(b"weights")
    return folder / "net.bin"


def test_it_lies_beside_a_file_and_in_a_folder(folder, model):
    assert locate_sidecar(model).name == "net.bin.dtool.json"
    assert locate_sidecar(model).parent == folder
    assert locate_sidecar(folder) == folder / "model.dtool.json"


@pytest.mark.parametrize("where", ["net.bin", "."])
def test_what_is_said_is_remembered(folder, model, where):
    said = Description(
        schedule="cosine:max_beta=0.99", prediction="edm:sigma_data=0.25", shape=(3, 8, 8), classes=4, null_class=False,
        data_range=(0.0, 1.0), class_names=("a", "ö", "c", "d"), time="u", conditions=(TEXT,), clip=False,
    )  # fmt: skip
    path = folder / where
    assert add_remembered(path, UNDESCRIBED) == UNDESCRIBED
    assert remember(path, said) == locate_sidecar(path)
    assert add_remembered(path, UNDESCRIBED) == said
    assert json.loads(locate_sidecar(path).read_text(encoding="utf-8"))["shape"] == [3, 8, 8]


def test_what_is_said_now_comes_before_what_was_said(model):
    remember(model, Description(prediction="v", classes=4, clip=True))
    found = add_remembered(model, Description(prediction="eps", clip=False))
    assert found == Description(prediction="eps", classes=4, clip=False)


def test_what_is_remembered_later_is_added(model):
    remember(model, Description(prediction="v", classes=4))
    remember(model, Description(prediction="eps", time="sigma"))
    assert add_remembered(model, UNDESCRIBED) == Description(prediction="eps", classes=4, time="sigma")


def test_a_whole_spec_asks_nothing(model):
    locate_sidecar(model).write_text("broken")
    spec = dtool.NetworkSpec(shape=(2,), schedule="linear")
    assert add_remembered(model, spec) is spec


def test_a_schedule_is_remembered_by_its_name_and_tables_are_not(model):
    remember(model, Description(schedule=dtool.get_scheduler("cosine:max_beta=0.9"), betas=(0.1, 0.2)))
    assert json.loads(locate_sidecar(model).read_text()) == {"schedule": "cosine:max_beta=0.9"}


def test_a_schedule_that_no_name_gives_is_not_remembered(model):
    """Its name would be that of another schedule, or of none."""
    own = dtool.from_betas(np.linspace(1e-4, 0.02, 50))
    remember(model, Description(schedule=own, prediction="v"))
    assert add_remembered(model, UNDESCRIBED) == Description(prediction="v")


BROKEN = {
    "no JSON": ('{"prediction": ', "it is no JSON"),
    "no text": (b"\xff\xfe\x00", "it is no JSON"),
    "nested": ("[" * 100_000, "it is nested too deeply"),
    "a list": ("[1]", "it is not what dtool model wrote"),
    "text": ('"eps"', "it is not what dtool model wrote"),
    "null": ("null", "it is not what dtool model wrote"),
    "a table": ('{"betas": [0.1]}', "it is not what dtool model wrote"),
    "an unknown field": ('{"predicts": "eps"}', "predicts: "),
    "a wrong type": ('{"classes": "many"}', "classes: "),
    "a wrong entry": ('{"shape": [3, "x"]}', "shape.1: "),
    "a wrong word": ('{"time": "t"}', "time: "),
    "a wrong condition": ('{"conditions": [{"name": "a b"}]}', "conditions.0.name: "),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_refused_with_its_name(model, kind):
    content, why = BROKEN[kind]
    file = locate_sidecar(model)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    for call in (lambda: add_remembered(model, UNDESCRIBED), lambda: remember(model, Description(clip=True))):
        with pytest.raises(DtoolError) as error:
            call()
        assert str(error.value).startswith(f"{file}: {why}")
        assert error.value.hint == "mend it, or take it away"
        assert error.value.exit_code == 1
        assert "\n" not in str(error.value)
    assert file.stat().st_size == len(content), "what is broken is not written over"


def test_a_huge_file_is_not_read(model):
    sparse(locate_sidecar(model), 1 << 33)
    with pytest.raises(DtoolError, match="it has 8589934592 bytes; no more than 16777216 are read") as error:
        add_remembered(model, UNDESCRIBED)
    assert error.value.hint == "mend it, or take it away"


def test_a_file_that_may_not_be_read(model):
    locate_sidecar(model).write_text('{"clip": true}')
    locate_sidecar(model).chmod(0)
    if os.access(locate_sidecar(model), os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(DtoolError, match="Permission denied"):
        add_remembered(model, UNDESCRIBED)


@needs_fifos
def test_what_is_no_file_is_not_waited_for(model):
    os.mkfifo(locate_sidecar(model))
    assert add_remembered(model, UNDESCRIBED) == UNDESCRIBED


def test_a_link_is_read_and_stays_one(folder, model):
    (folder / "elsewhere.json").write_text('{"classes": 3}')
    locate_sidecar(model).symlink_to("elsewhere.json")
    assert add_remembered(model, UNDESCRIBED) == Description(classes=3)
    remember(model, Description(clip=True))
    assert locate_sidecar(model).is_symlink()
    assert json.loads((folder / "elsewhere.json").read_text()) == {"classes": 3, "clip": True}


def test_a_link_to_nothing_is_nothing(folder, model):
    locate_sidecar(model).symlink_to("nowhere.json")
    assert add_remembered(model, UNDESCRIBED) == UNDESCRIBED


def test_opening_a_file_takes_what_is_remembered(folder):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    import onnx

    from tests.support.small_networks import write

    path = folder / "net.onnx"
    write(path, shape=(1, 6, 5), schedule="cosine", prediction="v")
    graph = onnx.load(path)
    del graph.metadata_props[:]
    onnx.save(graph, path)
    with pytest.raises(DtoolError, match="does not say what network it is"):
        dtool.load(path, device="cpu")
    remember(path, Description(schedule="cosine", prediction="v"))
    assert dtool.load(path, device="cpu").prediction == "v"
    assert dtool.load(path, device="cpu", spec={"prediction": "eps"}).prediction == "eps"
