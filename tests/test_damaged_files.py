"""Files whose own numbers are wrong, and archives of a kind that dtool does not write: refused, or not read."""

from __future__ import annotations

import io
import json
import pickle
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from commandline import SHAPE
from pydantic import ValidationError

import dtool
from dtool import Plan, bounded
from dtool.compare.parts import Parts
from dtool.data import images
from dtool.errors import DtoolError
from dtool.networks.spec import NetworkSpec
from dtool.options import complaint

RAW = re.compile(r"Errno|\b[A-Z]\w*(Error|Exception)\b|codec|has no attribute")


def rewritten(path: Path, packing: int = zipfile.ZIP_STORED, **changed: bytes) -> None:
    """The archive again, packed otherwise, or with other bytes in the entries whose names end so."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, content in entries.items():
            archive.writestr(name, changed.get(Path(name).stem, content))


def flagged_as_encrypted(path: Path) -> None:
    """Set the flag in both headers of every entry."""
    data = bytearray(path.read_bytes())
    for signature, place in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
        for match in re.finditer(re.escape(signature), bytes(data)):
            data[match.start() + place] |= 1
    path.write_bytes(data)


def misplaced(path: Path) -> None:
    """Let the table of contents begin before the file does."""
    rewritten(path)  # with one place alone that says where it is
    data = bytearray(path.read_bytes())
    end = data.rindex(b"PK\5\6")
    data[end + 12 : end + 16] = b"\xff\xff\xff\x7f"
    path.write_bytes(data)


WRONG = {
    "encrypted": flagged_as_encrypted,
    "deflated": lambda path: rewritten(path, zipfile.ZIP_DEFLATED),
    "lzma": lambda path: rewritten(path, zipfile.ZIP_LZMA),
    "misplaced": misplaced,
}


@pytest.mark.parametrize("how", WRONG)
def test_a_part_that_is_an_archive_of_another_kind_is_as_good_as_none(how, tmp_path):
    parts = Parts(tmp_path, {})
    parts.write("abc", 0, np.zeros((4, *SHAPE), np.float32))
    assert len(parts.read("abc")) == 4
    WRONG[how](next(tmp_path.glob("*.npz")))
    assert parts.read("abc") is None


@pytest.fixture
def trained(tmp_path):
    torch = pytest.importorskip("torch")
    from dtool.networks import checkpoint
    from dtool.networks.spec import NetworkSpec
    from dtool.networks.unet import UNet, UNetConfig

    torch.manual_seed(0)
    config = UNetConfig(channels=1, width=8, multipliers=(1,), attention=())
    spec = NetworkSpec(shape=(1, 8, 8), schedule="cosine", prediction="v")
    return checkpoint.save(tmp_path / "m.pt", spec=spec, config=config, state_dict=UNet(config).state_dict())


def refusal(path):
    with pytest.raises(DtoolError) as caught:
        dtool.load(path)
    assert not RAW.search(str(caught.value))
    assert caught.value.hint
    return str(caught.value)


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("encrypted", "it is encrypted"),
        ("deflated", "it is compressed"),
        ("lzma", "it is compressed"),
        ("misplaced", "the file is damaged"),
    ],
)
def test_a_checkpoint_that_is_an_archive_of_another_kind(how, why, trained):
    dtool.load(trained)
    WRONG[how](trained)
    assert why in refusal(trained)


@pytest.mark.parametrize(
    "pickled", [b"", b".", b"\x80\x02X\x04\0\0\0\xff\xff\xff\xff.", b"\x80\x02}", b"\x80\x02]q\0h\1."]
)
def test_a_checkpoint_whose_pickle_is_cut_off_or_no_text(pickled, trained):
    rewritten(trained, data=pickled)
    assert "the file is damaged" in refusal(trained)


@pytest.mark.parametrize("archived", [True, False])
@pytest.mark.parametrize("value", [bytearray(3), {1, 2}, complex(1, 2)])
def test_a_checkpoint_calls_nothing_that_weights_do_not_need(value, archived, trained, monkeypatch):
    import torch

    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was loaded"))
    pickled = pickle.dumps({"format": 1, "spec": value}, protocol=2)
    if archived:
        rewritten(trained, data=pickled)
        assert "not a checkpoint of dtool" in refusal(trained)
    else:
        trained.write_bytes(pickled)
        assert "refused, because loading it would run code" in refusal(trained)


def test_a_checkpoint_without_its_pickle_or_with_two(trained):
    with zipfile.ZipFile(trained) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    for kept, why in (
        (lambda name: not name.endswith(".pkl"), "it holds no data.pkl"),
        (bool, "it holds data.pkl twice"),
    ):
        with zipfile.ZipFile(trained, "w") as archive:
            for name, content in entries.items():
                if kept(name):
                    archive.writestr(name, content)
            if kept is bool:
                archive.writestr("other/data.pkl", b"N.")
        assert why in refusal(trained)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"format": 2,', b"\xff\xfe", '{"format": 2, "format": 2}'])
def test_what_is_no_plan_is_said_without_the_names_of_exceptions(text):
    with pytest.raises(DtoolError, match="this is not a plan") as caught:
        Plan.from_json(text)
    assert not RAW.search(str(caught.value))


def test_a_plan_whose_columns_do_not_fit_is_said_so():
    data = json.loads(dtool.plan("ddim", steps=3).to_json())
    with pytest.raises(DtoolError, match="this is not a plan") as caught:
        Plan.from_json(json.dumps({**data, "b": [[1.0], [1.0, 2.0], [1.0]]}))
    assert not RAW.search(str(caught.value))


@pytest.mark.parametrize("recipe", ["ddim/karras:rho=0.005", "ddim@cosine:s=1e300"])
def test_numbers_that_go_too_far_are_said_in_words(recipe):
    with pytest.raises(DtoolError) as caught:
        dtool.plan(recipe, steps=3)
    assert not re.search(r"\(\(?3\d|range|division", str(caught.value))
    assert not RAW.search(str(caught.value))


def classifier(path, nodes, outputs=("y",), kind=1):
    """An ONNX file of `nodes` over images (N, 4) and a matrix `w`."""
    onnx = pytest.importorskip("onnx")
    make = onnx.helper
    graph = make.make_graph(
        [make.make_node(*node) for node in nodes],
        "g",
        [make.make_tensor_value_info("x", 1, ["N", 4])],
        [make.make_tensor_value_info(name, kind, None) for name in outputs],
        [onnx.numpy_helper.from_array(np.ones((4, 3), np.float32), "w")],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize(
    ("nodes", "outputs"),
    [
        ([("MatMul", ["x", "w"], ["y"])], ()),
        ([("MatMul", [], ["y"])], ("y",)),
        ([("Gemm", [""], ["y"])], ("y",)),
        ([("Relu", ["x"], ["y"])], ("y",)),
    ],
)
def test_a_classifier_without_a_last_layer(nodes, outputs, tmp_path):
    pytest.importorskip("onnxruntime")
    with pytest.raises(DtoolError, match="ends with no matrix product"):
        dtool.metrics.Classifier(classifier(tmp_path / "c.onnx", nodes, outputs), device="cpu")


def test_a_classifier_is_stopped_like_any_other_network(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    path = classifier(tmp_path / "c.onnx", [("MatMul", ["x", "w"], ["y"])])
    found = dtool.metrics.Classifier(path, device="cpu")
    assert found(np.ones((2, 4))).tolist() == [[4, 4, 4]] * 2
    monkeypatch.setattr("dtool.metrics.classifier.CALL_SECONDS", 0.0)
    with pytest.raises(DtoolError, match="ran for more than 0 seconds"):
        found(np.ones((2, 4)))


def test_an_npz_whose_table_of_contents_is_misplaced(tmp_path):
    path = tmp_path / "d.npz"
    np.savez(path, x=np.zeros((2, 4, 4), np.uint8))
    misplaced(path)
    with pytest.raises(DtoolError, match=r"can't be read as an \.npz") as caught:
        images.load(str(path))
    assert "Invalid argument" not in str(caught.value)
    assert not RAW.search(str(caught.value))


NETPBM = b"P5 8\xff 8 255\n" + bytes(64)  # a width that is no number


def test_a_picture_whose_numbers_are_none(tmp_path):
    (tmp_path / "a.ppm").write_bytes(NETPBM)
    with pytest.raises(DtoolError, match="broken, or not an image") as caught:
        images.load(str(tmp_path))
    assert "invalid literal" not in str(caught.value)
    assert not RAW.search(str(caught.value))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError(22, "Invalid argument"), "what it says of itself makes no sense"),
        (OSError("image file is truncated"), "image file is truncated"),
        (IndexError("index out of range"), "what it says of itself makes no sense"),
        (ValueError("invalid literal for int() with base 10: b'x'"), "what it says of itself makes no sense"),
        (ValueError("its pixels have\nmore than 16 bits"), "its pixels have more than 16 bits"),
        (EOFError(), "what it says of itself makes no sense"),
        (zipfile.BadZipFile("Bad CRC-32"), "Bad CRC-32"),
    ],
)
def test_the_words_of_readers(error, said):
    assert bounded.words(error) == said


def test_a_description_that_is_no_object_names_no_class():
    with pytest.raises(ValidationError) as caught:
        NetworkSpec.model_validate_json("3")
    assert complaint(caught.value.errors()[0]) == "Input should be an object"


def test_the_archive_in_memory_is_what_was_written():
    held = io.BytesIO()
    np.savez(held, images=np.zeros(3))
    with zipfile.ZipFile(held) as archive:  # parts are read by this: NumPy packs nothing unless it is told to
        assert [info.compress_type for info in archive.infolist()] == [zipfile.ZIP_STORED]
