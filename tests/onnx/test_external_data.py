"""Weights beside an ONNX file: read from its own folder, plain files alone, within their size; the rest is refused."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError, UsageError
from dtool.onnx.checked_file import read_checked_file
from dtool.onnx.external_data import is_plain_name

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from tests.support import foreign as make  # noqa: E402
from tests.support.foreign import FLOAT  # noqa: E402

SLOPE = np.linspace(0.25, 1, 16, dtype=np.float32).reshape(1, 4, 4)
X = np.random.default_rng(0).standard_normal((3, 1, 4, 4)).astype(np.float32)
T = np.array([0.0, 5.0, 900.0], np.float32)


def network(folder: Path, *, entries=None, dims=(1, 4, 4), kind=make.FLOAT, content=None, name="net.onnx.data", **more):
    """x·SLOPE, whose slope lies in another file: what the file says of it is `entries`; its content is `content`."""
    slope = TensorProto(name="slope", data_type=kind, dims=dims, data_location=TensorProto.EXTERNAL, **more)
    for key, value in (entries or {"location": name, "offset": 0, "length": 64}).items():
        slope.external_data.add(key=key, value=str(value))
    proto = make.of_nodes([helper.make_node("Mul", ["x", "slope"], ["y"])], [slope])
    if content is not None:
        (folder / name).write_bytes(content)
    return make.saved(proto, folder, "net.onnx")


def load(path):
    return dtool.load(path, spec=make.SAID, device="cpu")


def refuse(path, error=DtoolError):
    """(cause, remedy) with which a file is refused."""
    with pytest.raises(error) as caught:
        load(path)
    assert "\n" not in str(caught.value) + caught.value.hint
    return str(caught.value), caught.value.hint


def test_weights_beside_the_file_are_read(tmp_path, monkeypatch):
    path = network(tmp_path, content=SLOPE.tobytes())
    monkeypatch.chdir("/")
    assert load(path).predict(X, T) == pytest.approx(X * SLOPE, abs=0)


def test_a_part_of_a_file_and_two_weights_of_one_place(tmp_path):
    content = b"\xff" * 100 + SLOPE.tobytes() + b"\xff" * 10  # NaN, which nobody asks for
    path = network(tmp_path, entries={"location": "net.onnx.data", "offset": 100}, content=content)
    assert load(path).predict(X, T) == pytest.approx(X * SLOPE, abs=0)


def test_what_is_exchanged_after_the_check_is_not_run(tmp_path):
    path = network(tmp_path, content=SLOPE.tobytes())
    net = load(path)
    (tmp_path / "net.onnx.data").write_bytes(bytes(64))
    os.truncate(tmp_path / "net.onnx.data", 0)
    assert net.predict(X, T) == pytest.approx(X * SLOPE, abs=0)


def test_what_is_exchanged_between_the_check_and_the_session_is_checked_again(tmp_path):
    path = network(tmp_path, content=SLOPE.tobytes())
    checked = read_checked_file(path)
    (tmp_path / "net.onnx.data").write_bytes(np.full(16, np.nan, np.float32).tobytes())
    with pytest.raises(DtoolError, match="'slope' hold NaN"), checked.weights.copy_beside(checked.data):
        pass
    os.truncate(tmp_path / "net.onnx.data", 60)
    with pytest.raises(DtoolError, match="ends before 'slope' does"), checked.weights.copy_beside(checked.data):
        pass


def test_the_copy_is_gone_once_the_session_is_open(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    net = load(network(tmp_path, content=SLOPE.tobytes()))
    assert not list((tmp_path / "scratch").iterdir())
    assert net.predict(X, T) == pytest.approx(X * SLOPE, abs=0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite(value, tmp_path):
    bad = SLOPE.copy()
    bad[0, 3, 3] = value
    cause, _ = refuse(network(tmp_path, content=bad.tobytes()))
    assert cause.endswith("weights 'slope' hold NaN or infinity")


def test_a_mask_of_infinities_is_no_fault(tmp_path):
    mask = np.where(np.arange(16) % 2, 0, -np.inf).astype(np.float32)
    network(tmp_path, content=mask.tobytes())
    load(tmp_path / "net.onnx")


@pytest.mark.parametrize(
    "location",
    ["../w.data", "/etc/passwd", "sub/w.data", "sub\\w.data", "C:w.data", ".", "..", "", "*/_ORT_MEM_ADDR_/*"],
)
def test_other_places_than_the_own_folder(location, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "w.data").write_bytes(SLOPE.tobytes())
    cause, remedy = refuse(network(tmp_path, entries={"location": location, "length": 64}))
    assert cause.endswith(f"'slope' is kept in {location!r}, and weights are read from the model's own folder alone")
    assert remedy == "save it again with its weights in one file beside it, under a plain name"


def test_names_that_are_written_otherwise_elsewhere():
    for name in ("a\u0301.data", "ﬁ.data", "a\0", "a\n", "a ", " a", "a.", "a\u202eb", "a\ufffd", "a" * 201, "a:b"):
        assert not is_plain_name(name)
    for name in ("net.onnx.data", "model.onnx_data", "unet.down.0.weight", "modèle.data", ".hidden"):
        assert is_plain_name(name)


def test_links_are_not_followed(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(SLOPE.tobytes())
    path = network(tmp_path)
    for make_link, what in ((os.symlink, "it is a link"), (os.link, "it is a hard link: it has several names")):
        make_link(elsewhere, tmp_path / "net.onnx.data")
        cause, remedy = refuse(path)
        assert cause.endswith(f"keeps weights in net.onnx.data, which is not read: {what}")
        assert remedy == "put net.onnx.data itself there, as with cp -L"
        (tmp_path / "net.onnx.data").unlink()


def test_what_is_no_file(tmp_path):
    path = network(tmp_path)
    cause, remedy = refuse(path)
    assert cause.endswith("keeps weights in net.onnx.data, which is not beside it")
    assert remedy == "put net.onnx.data into the same folder"
    (tmp_path / "net.onnx.data").mkdir()
    assert refuse(path)[0].endswith("which is not read: it is a folder, not a file")
    (tmp_path / "net.onnx.data").rmdir()
    os.mkfifo(tmp_path / "net.onnx.data")
    assert refuse(path)[0].endswith("which is not read: it is a FIFO, not a file")


@pytest.mark.parametrize("offset", [4, 10**17, 10**18 - 1])
def test_a_file_that_is_too_short(offset, tmp_path):
    entries = {"location": "net.onnx.data", "offset": offset, "length": 64}
    cause, remedy = refuse(network(tmp_path, entries=entries, content=SLOPE.tobytes()))
    assert cause.endswith(f"'slope' would be bytes {offset} to {offset + 64} of net.onnx.data, which has 64")
    assert remedy == "copy both files again: one of them is cut off, or of another export"


@pytest.mark.parametrize(
    ("entries", "cause"),
    [
        ({"offset": "-1"}, "are no numbers of bytes"),
        ({"offset": "1e3"}, "are no numbers of bytes"),
        ({"offset": "٣"}, "are no numbers of bytes"),
        ({"length": "9" * 30}, "are no numbers of bytes"),
        ({"length": "60"}, "'slope' has 60 bytes in net.onnx.data; its shape (1, 4, 4) takes 64"),
        ({"prepacked_0": "0"}, "has external data with 'prepacked_0', which dtool does not read"),
    ],
)
def test_numbers_that_make_no_sense(entries, cause, tmp_path):
    path = network(tmp_path, entries={"location": "net.onnx.data"} | entries, content=SLOPE.tobytes())
    assert refuse(path)[0].endswith(cause)


def test_what_is_said_twice_or_is_no_weight(tmp_path):
    path = network(tmp_path, content=SLOPE.tobytes(), raw_data=SLOPE.tobytes())
    assert refuse(path)[0].endswith("'slope' says twice what its numbers are")
    path = network(tmp_path, content=SLOPE.tobytes(), kind=TensorProto.STRING)
    assert refuse(path)[0].endswith("'slope' is kept in another file, and of a type or shape that is not read")
    path = network(tmp_path, content=SLOPE.tobytes(), dims=[1] * 65)
    assert refuse(path)[0].endswith("'slope' is kept in another file, and of a type or shape that is not read")
    value = numpy_helper.from_array(SLOPE, "c")
    onnx.external_data_helper.set_external_data(value, location="net.onnx.data")
    value.ClearField("raw_data")
    nodes = [helper.make_node("Constant", [], ["c"], value=value), helper.make_node("Mul", ["x", "c"], ["y"])]
    path = make.saved(make.of_nodes(nodes), tmp_path, "net.onnx")
    assert refuse(path)[0].endswith("'c' is no weight of a graph, and yet kept in another file")


def test_more_than_there_is_memory_for(tmp_path):
    size = 10**12  # bytes, of which the disk holds none
    entries = {"location": "net.onnx.data", "length": size}
    path = network(tmp_path, entries=entries, dims=(size // 4,), content=b"")
    os.truncate(tmp_path / "net.onnx.data", size)
    cause, remedy = refuse(path, UsageError)
    assert cause.startswith(f"the weights of {path} would take 1e+03 GB of memory")
    assert "DTOOL_MEMORY_LIMIT" in remedy


def test_no_room_for_the_copy(tmp_path, monkeypatch):
    path = network(tmp_path, content=SLOPE.tobytes())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    assert str(tmp_path / "gone") in refuse(path)[0]


def test_a_file_by_the_exporter_of_pytorch(tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    torch.manual_seed(0)

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.Conv2d(8, 1, 3, padding=1)

        def forward(self, x, t):
            return self.last(torch.tanh(self.first(x) + t[:, None, None, None] / 1000))

    net, path = Net().eval(), tmp_path / "f.onnx"
    x, t = torch.from_numpy(X), torch.from_numpy(T)
    torch.onnx.export(net, (x, t), path, dynamic_shapes=({0: "batch"}, {0: "batch"}), verbose=False)
    assert (tmp_path / "f.onnx.data").exists()
    with torch.no_grad():
        expected = net(x, t).numpy()
    assert load(path).predict(X, T) == pytest.approx(expected, abs=1e-6)
    report = dtool.export(path, tmp_path / "app.onnx", plan="ddim", steps=4, spec=make.SAID, check=True)
    assert report.size > 0
    inside = dtool.sample(dtool.load(tmp_path / "app.onnx", device="cpu"), "ddim", steps=4, n=2).x0
    assert inside == pytest.approx(dtool.sample(load(path), "ddim", steps=4, n=2).x0, abs=1e-4)


MEASURED = """
import threading, time
import dtool, onnxruntime
from dtool.util import memory
before, most, done = memory.get_usage(), 0, threading.Event()
def watch():
    global most
    while not done.is_set():
        most = max(most, memory.get_usage())
        time.sleep(0.002)
watcher = threading.Thread(target=watch)
watcher.start()
net = dtool.load({path!r}, spec={said}, device="cpu")
done.set()
watcher.join()
print((most - before) / 2**20)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the memory of a process is looked up in /proc")
@pytest.mark.parametrize("kind", ["Conv", "MatMul"])
def test_weights_lie_in_memory_once(kind, tmp_path):
    """Those that ONNX Runtime lays out anew; the others stay in the file's pages."""
    shape, dims, layers = (
        ((320, 320, 3, 3), ["b", 320, 8, 8], 32) if kind == "Conv" else ((1024, 1024), ["b", 1024], 32)
    )
    random, weights = np.random.default_rng(0), []
    with (tmp_path / "big.data").open("wb") as file:
        for layer in range(layers):
            values = random.standard_normal(shape, dtype=np.float32)
            tensor = TensorProto(name=f"w{layer}", data_type=FLOAT, dims=shape, data_location=TensorProto.EXTERNAL)
            for key, value in {"location": "big.data", "offset": file.tell(), "length": values.nbytes}.items():
                tensor.external_data.add(key=key, value=str(value))
            file.write(values.tobytes())
            weights.append(tensor)
        size = file.tell() / 2**20
    more = {"pads": [1, 1, 1, 1]} if kind == "Conv" else {}
    nodes = [helper.make_node(kind, [f"x{k}", f"w{k}"], [f"x{k + 1}"], **more) for k in range(layers)]
    values = [("x0", FLOAT, dims), ("t", FLOAT, ["b"]), (f"x{layers}", FLOAT, dims)]
    *inputs, output = (helper.make_tensor_value_info(*value) for value in values)
    path = make.saved(make.model(nodes, inputs, [output], weights), tmp_path, "big.onnx")
    script = MEASURED.format(path=str(path), said=make.SAID)
    taken = float(subprocess.check_output([sys.executable, "-c", script], text=True))
    assert taken < 1.3 * size, f"{taken:.0f} MB for {size:.0f} MB of weights"
