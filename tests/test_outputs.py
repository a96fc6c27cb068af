"""What is written, in which order, and over what: work is lost neither to a picture, nor to a name given twice."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from commandline import SHAPE, failed, network, ran, started
from PIL import Image

import dtool
from dtool.errors import DtoolError, UsageError
from dtool.files import Writing, files_in, require_apart, require_writable, write_atomically

QUICK = ("--steps", 2, "-n", 2, "-q")
MINE = b"a photograph"


@pytest.fixture(autouse=True)
def stub(monkeypatch, tmp_path):
    """The package's network is one in closed form, and the working folder is empty."""
    net = network()
    monkeypatch.setattr(dtool, "default_network", lambda device="auto", **_: net)
    monkeypatch.chdir(tmp_path)
    return net


def names():
    return sorted(path.name for path in Path().iterdir())


def refused(result, cause, hint="", code=2):
    failed(result, code, cause, hint)


# ---------------------------------------------------------------- the array first, and whatever becomes of the picture


def no_picture(monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(Image.Image, "save", fail)


ERRORS = [
    OSError(errno.ENOSPC, "No space left on device"),
    MemoryError(),
    ValueError("too large"),
    OverflowError("it"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
def test_a_picture_that_nobody_asked_for_is_no_error(capsys, monkeypatch, error):
    no_picture(monkeypatch, error)
    result = ran(capsys, "sample", "--steps", 2, "-n", 2, "--npz", "x.npz")
    assert (result.code, result.out) == (0, "x.npz\n")
    assert "warning: samples.png: " in result.err
    assert names() == ["x.npz"]
    assert np.load("x.npz")["x0"].shape == (2, *SHAPE)


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
def test_a_picture_that_was_asked_for_is_an_error_after_the_array(capsys, monkeypatch, error):
    no_picture(monkeypatch, error)
    result = ran(capsys, "sample", *QUICK, "--npz", "x.npz", "-o", "a.png")
    assert (result.code, result.out) == (1, "x.npz\n")
    cause, _hint = result.err.splitlines()
    assert cause.startswith("error: a.png: ")
    assert cause.endswith("written: x.npz")
    assert names() == ["x.npz"]
    assert np.load("x.npz")["x0"].shape == (2, *SHAPE)


def test_an_array_that_fails_does_not_cost_the_picture(capsys, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    result = ran(capsys, "sample", *QUICK, "--npz", "x.npz", "-o", "a.png")
    assert (result.code, result.out) == (1, "a.png\n")
    assert "x.npz: can't be written (No space left on device); written: a.png" in result.err
    assert "free some space" in result.err


def test_ctrl_c_in_the_picture_leaves_the_array(capsys, monkeypatch):
    no_picture(monkeypatch, KeyboardInterrupt())
    assert ran(capsys, "sample", *QUICK, "--npz", "x.npz", "-o", "a.png").code == 130
    assert names() == ["x.npz"]
    assert np.load("x.npz")["x0"].shape == (2, *SHAPE)


@pytest.mark.parametrize("kind", ["file", "folder", "own"])
def test_a_picture_that_nobody_asked_for_replaces_nothing(capsys, kind):
    path = Path("samples.png")
    if kind == "folder":
        path.mkdir()
    elif kind == "file":
        path.write_bytes(MINE)
    else:
        ran(capsys, "sample", *QUICK, "--seed", 1)
    before = path.read_bytes() if path.is_file() else None
    result = ran(capsys, "sample", "--steps", 2, "-n", 2, "--npz", "x.npz", "--json")
    assert result.code == 0
    assert json.loads(result.out)["files"] == {"npz": "x.npz"}
    assert "samples.png is there already, and stays as it is" in result.err
    assert (path.read_bytes() if path.is_file() else None) == before


def test_with_an_array_the_usual_picture_comes_where_it_can(capsys):
    assert ran(capsys, "sample", *QUICK, "--npz", "x.npz").out == "samples.png\nx.npz\n"


# ---------------------------------------------------------------- names that were not given cost nobody a file


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("sample", *QUICK), "samples.png"),
        (("sample", *QUICK, "--trace", "-o", "a.png"), "a-trace.png"),
        (("forward", "digit", "--scheduler", "linear"), "forward.png"),
        (("compare", "ddim", *QUICK, "--repeats", 1), "compare.png"),
    ],
)
def test_a_usual_name_is_not_taken_from_somebody_elses_file(capsys, words, name):
    Image.new("RGB", (4, 4)).save(name)
    before = Path(name).read_bytes()
    refused(ran(capsys, *words), f"{name} is there, and dtool did not make it", "-o")
    assert Path(name).read_bytes() == before
    assert names() == [name]
    Path(name).unlink()
    for _ in range(2):  # its own it replaces
        assert ran(capsys, *words).code == 0
    if "-o" not in words:
        Path(name).write_bytes(MINE)
        assert ran(capsys, *words, "-o", name).code == 0, "a name that was given is"
        assert Path(name).read_bytes() != MINE


def test_a_usual_array_is_not_taken_from_somebody_elses_file(capsys, monkeypatch):
    points = dtool.network(lambda x, t: x, shape=(2,))
    monkeypatch.setattr(dtool, "default_network", lambda device="auto": points)
    np.savez("samples.npz", x=np.zeros(3))
    refused(ran(capsys, "sample", *QUICK), "samples.npz is there, and dtool did not make it", "--npz")
    Path("samples.npz").unlink()
    assert [ran(capsys, "sample", *QUICK).code for _ in range(2)] == [0, 0]


# ---------------------------------------------------------------- an output that is an input


def same(name, of):
    """Names of the file `of`: as it is, another way there, absolute, a link, a hard link."""
    Path("sub").mkdir(exist_ok=True)
    Path("soft" + name).symlink_to(of)
    os.link(of, "hard" + name)
    return [of, f"./sub/../{of}", Path(of).absolute(), "soft" + name, "hard" + name]


def test_forward_does_not_write_over_its_photograph(capsys):
    Image.new("RGB", (4, 4)).save("p.png")
    before = Path("p.png").read_bytes()
    for name in same("p.png", "p.png"):
        refused(ran(capsys, "forward", "p.png", "-o", name), "p.png", "name another file")
        assert Path("p.png").read_bytes() == before
    refused(ran(capsys, "forward", "softp.png", "-o", "p.png"), "p.png (the same file as softp.png) is read here")


@pytest.mark.parametrize(
    "words",
    [
        ("sample", "in.onnx", "--npz", "out.npz"),
        ("sample", "in.onnx", "-o", "out.png"),
        ("sample", "--recipe", "ddim@betas:path=in.onnx/karras", "-o", "out.png"),
        ("sample", "--scheduler", 'betas:path="in.onnx"', "-o", "out.png"),
        ("sample", "--sampler", "analytic-ddpm", "--stats", "in.onnx", "--npz", "out.npz"),
        ("compare", "in.onnx", "ddim", "-o", "out.json"),
        ("compare", "ddim", "--baseline", "in.onnx", "-o", "out.json"),
        ("compare", "ddim", "--data", "in.onnx", "-o", "out.html"),
        ("compare", "ddim", "--data", "digits", "--classifier", "in.onnx", "-o", "out.png"),
        ("compare", "ddim", "ddpm@betas:path=in.onnx", "-o", "out.json"),
        ("likelihood", "in.onnx", "--data", "digits", "-o", "out.png"),
        ("likelihood", "--data", "digits", "--stats", "in.onnx", "-o", "out.png"),
        ("likelihood", "--data", "in.onnx", "-o", "out.png"),
        ("likelihood", "--data", "digits", "--scheduler", "betas:path=in.onnx", "-o", "out.png"),
        ("export", "in.onnx", "--recipe", "ddim", "-o", "out.onnx"),
        ("export", "--recipe", "ddim@betas:path=in.onnx", "-o", "out.onnx"),
        ("plan", "in.onnx", "--plot", "out.png"),
        ("plan", "ddim@betas:path=in.onnx", "--plot", "out.png"),
        ("plan", "ddim", "--scheduler", "betas:path=in.onnx", "--plot", "out.png"),
        ("check", "ddim@betas:path=in.onnx", "--plot", "out.png"),
        ("schedulers", "betas:path=in.onnx", "--plot", "out.png"),
        ("schedulers", "--recipe", "ddim@betas:path=in.onnx", "--plot", "out.png"),
        ("bench", "in.onnx", "-o", "out.md"),
        ("bench", "--fused", "in.onnx", "-o", "out.json"),
        ("bench", "ddim@betas:path=in.onnx", "-o", "out.json"),
        ("train", "in.onnx", "-o", "out.pt"),
        ("train", "digits", "--scheduler", "betas:path=in.onnx", "-o", "out.pt", "--force"),
        ("train", "in.onnx", "-o", "model.pt", "--preview", "out.png"),
    ],
    ids=" ".join,
)
def test_no_command_writes_over_what_it_reads(capsys, words):
    """The output is a link to the input, so that its suffix is not what saves it."""
    if words[0] == "train":
        pytest.importorskip("accelerate")
    content = b"0.1 0.2 0.3"  # a schedule that can be read
    Path("in.onnx").write_bytes(content)
    [out] = [word for word in words if word.startswith("out.")]
    Path(out).symlink_to("in.onnx")
    refused(ran(capsys, *words), f"{out} (the same file as in.onnx) is read here", "name another file")
    assert Path("in.onnx").read_bytes() == content
    assert names() == sorted(["in.onnx", out])


@pytest.mark.parametrize(
    "words",
    [
        ("compare", "ddim", "-o", "one.png", "-o", "two.json"),
        ("sample", "-o", "one.png", "--npz", "two.npz"),
        ("train", "digits", "-o", "one.pt", "--force", "--preview", "two.png"),
    ],
    ids=" ".join,
)
def test_two_outputs_are_two_files(capsys, words):
    if words[0] == "train":
        pytest.importorskip("accelerate")
    one, two = (word for word in words if word.startswith(("one.", "two.")))
    Path(one).write_bytes(MINE)
    Path(two).symlink_to(one)
    refused(ran(capsys, *words), f"{one} and {two} are one file" if words[0] != "sample" else "are one file")
    assert Path(one).read_bytes() == MINE


@pytest.mark.parametrize(
    "words",
    [
        ("compare", "ddim", "--data", "photos", "-o", "photos/cats/a.png"),
        ("compare", "ddim", "--data", "./photos/../photos", "-o", "photos/a.png"),
        ("likelihood", "--data", "photos", "-o", "photos/a.png"),
        ("train", "photos", "--preview", "photos/a.png"),
    ],
    ids=" ".join,
)
def test_a_picture_does_not_become_one_of_the_data(capsys, words):
    if words[0] == "train":
        pytest.importorskip("accelerate")
    Path("photos/cats").mkdir(parents=True)
    refused(ran(capsys, *words), "a.png would be one of the images in", "name another file")
    assert names() == ["photos"]


def test_in_python_too(tmp_path):
    pytest.importorskip("onnx")
    (tmp_path / "m.onnx").write_bytes(MINE)
    with pytest.raises(UsageError, match="is read here"):
        dtool.export(tmp_path / "m.onnx", tmp_path / "m.onnx", plan="ddim")


def _betas(path):
    path.write_text(json.dumps(np.linspace(1e-4, 0.02, 10).tolist()))
    return path


def test_files_behind_options():
    for name in ("b.npy", "b,c.npy", "b d.npy"):
        Path(name).write_bytes(b"")
    assert files_in("ddim@betas:path=b.npy/karras", None, "x=1") == [Path("b.npy")]
    assert files_in('ddim@betas:path="b,c.npy",T=3') == [Path("b,c.npy")]
    assert files_in("betas:path=b d.npy") == [Path("b d.npy")]
    assert files_in("ddim@linear", "b.npy") == []


def test_what_is_not_there_yet_is_compared_by_where_it_would_be(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="one file"):
        require_apart([Path("a.png"), tmp_path / "link" / "a.png"])
    require_apart([Path("a.png"), Path("b.png"), None], ["c.png", None, "ddim"])


# ---------------------------------------------------------------- kinds of files


def test_a_link_stays_one_and_its_file_is_replaced(capsys):
    Path("sub").mkdir()
    Path("sub/real.png").write_bytes(MINE)
    Path("a.png").symlink_to("sub/real.png")
    assert ran(capsys, "sample", *QUICK, "-o", "a.png").code == 0
    assert Path("a.png").is_symlink()
    assert Path("sub/real.png").read_bytes().startswith(b"\x89PNG")
    Path("new.png").symlink_to("sub/fresh.png")
    assert ran(capsys, "sample", *QUICK, "-o", "new.png").code == 0
    assert Path("sub/fresh.png").is_file()
    assert sorted(os.listdir("sub")) == ["fresh.png", "real.png"]  # noqa: PTH208


def test_another_name_of_a_file_that_is_replaced_keeps_the_old_one(capsys):
    Path("old.png").write_bytes(MINE)
    os.link("old.png", "a.png")
    assert ran(capsys, "sample", *QUICK, "-o", "a.png").code == 0
    assert Path("old.png").read_bytes() == MINE


def test_a_pipe_or_a_device_is_refused_before_any_work(capsys):
    os.mkfifo("pipe.npz")
    Path("null.png").symlink_to("/dev/null")
    refused(ran(capsys, "sample", *QUICK, "--npz", "pipe.npz"), "pipe.npz: is a device or a pipe", "-o", 1)
    refused(ran(capsys, "sample", *QUICK, "-o", "null.png"), "null.png: is a device or a pipe", "-o", 1)
    for path in (Path("/dev/null"), Path("pipe.npz")):
        for use in (require_writable, lambda p: write_atomically(p, lambda t: t.write_bytes(b"x"))):
            with pytest.raises(DtoolError, match="is a device or a pipe"):
                use(path)
    assert not Path("/dev/null").is_file()
    assert names() == ["null.png", "pipe.npz"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everything")
def test_a_protected_file_is_not_replaced(capsys):
    Path("a.png").write_bytes(MINE)
    Path("a.png").chmod(0o444)
    refused(ran(capsys, "sample", *QUICK, "-o", "a.png"), "a.png: is protected", "make it writable", 1)
    assert Path("a.png").read_bytes() == MINE


def test_a_name_as_long_as_file_systems_take(capsys):
    name = "ä" * 125 + ".npz"
    assert ran(capsys, "sample", *QUICK, "--npz", name).code == 0
    assert name in names()


def test_of_several_files_all_that_can_be_are_written(tmp_path):
    writing = Writing()
    writing.add("a", tmp_path / "no" / "a", lambda path: path.write_bytes(b"a"))
    writing.add("b", tmp_path / "b", lambda path: path.write_bytes(b"b"))
    writing.add("c", tmp_path / "no" / "c", lambda path: path.write_bytes(b"c"))
    with pytest.raises(DtoolError, match=r"a: can't be written .*; .*c: can't be written .*; written: .*/b\n"):
        writing.finish()
    assert (tmp_path / "b").read_bytes() == b"b"


def test_two_runs_into_one_file_leave_one_of_them_whole(tmp_path):
    code = """
        import sys; from dtool.cli import main
        import dtool
        net = dtool.network(lambda x, t: x * 0, shape=(1, 40, 40), schedule="linear")
        dtool.default_network = lambda device="auto": net
        sys.exit(max(main(f"sample --steps 2 -n 40 --seed SEED --npz x.npz -q".split()) for _ in range(5)))
    """
    with started(code.replace("SEED", "1"), tmp_path) as one, started(code.replace("SEED", "2"), tmp_path) as two:
        assert (one.wait(), two.wait()) == (0, 0)
    with np.load(tmp_path / "x.npz") as saved:
        assert saved["x0"].shape == (40, 1, 40, 40)
        assert json.loads(str(saved["settings"]))["seed"] in (1, 2)
    assert {path.name for path in tmp_path.iterdir()} == {"x.npz", "samples.png"}


# ---------------------------------------------------------------- compare: figures first


def test_a_picture_that_fails_costs_no_figures(capsys, monkeypatch):
    no_picture(monkeypatch, MemoryError())
    words = ("compare", "ddim", "ddpm", "--steps", 2, "-n", 70, "--repeats", 1, "--no-solver", "-q")
    result = ran(capsys, *words, "-o", "a.png", "-o", "a.json")
    assert result.code == 1
    assert result.out.splitlines()[-1] == "a.json"
    assert "a.png: there is not enough memory" in result.err
    assert "the same command goes on from there" in result.err
    assert json.loads(Path("a.json").read_text())["n"] == 70
    assert names() == [".a.parts", "a.json"]


@pytest.mark.parametrize("where", ["verdict", "document"])
def test_what_was_drawn_outlives_a_step_that_fails_later(capsys, monkeypatch, where):
    def fail(*_, **__):
        raise DtoolError("it fails")

    place = {"verdict": "dtool.compare.run.verdict", "document": "dtool.compare.document.document"}[where]
    monkeypatch.setattr(place, fail)
    words = ("compare", "ddim", "--steps", 2, "-n", 70, "--repeats", 1, "--no-solver", "-q", "-o", "a.json")
    result = ran(capsys, *words)
    assert result.code == 1
    assert "the images drawn so far are in .a.parts: the same command goes on from there" in result.err
    assert names() == [".a.parts"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_figures_that_stdout_does_not_take_can_be_had_again(tmp_path):
    code = """
        import os, sys
        sys.stdout = open("/dev/full", "w")
        import dtool
        net = dtool.network(lambda x, t: x * 0, shape=(1, 8, 8), schedule="linear")
        dtool.default_network = lambda device="auto": net
        from dtool.cli import main
        code = main("compare ddim --steps 2 -n 70 --repeats 1 --no-solver --json -o a.json".split())
        os._exit(code)
    """
    with started(code, tmp_path) as process:
        _, err = process.communicate()
        assert process.returncode == 1, err
    assert b"goes on from there" in err
    assert json.loads((tmp_path / "a.json").read_text())["n"] == 70
    assert (tmp_path / ".a.parts").is_dir()
