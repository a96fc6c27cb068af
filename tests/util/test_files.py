"""What is written, and over what: no work is lost to a name that is given twice."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dtool
from dtool.errors import DtoolError, UsageError
from dtool.util.files import OutputWriter, find_option_files, require_distinct_files, require_writable, write_atomically
from tests.support.commandline import failed, names, network, ran, started, use_network

QUICK = ("--steps", 2, "-n", 2, "-q")
MINE = b"a photograph"


@pytest.fixture(autouse=True)
def stub(monkeypatch, tmp_path):
    """The package's network is one in closed form, and the working folder is empty."""
    return use_network(monkeypatch, tmp_path, network())


def refused(result, cause, hint="", code=2):
    failed(result, code, cause, hint)


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
    assert find_option_files("ddim@betas:path=b.npy/karras", None, "x=1") == [Path("b.npy")]
    assert find_option_files('ddim@betas:path="b,c.npy",T=3') == [Path("b,c.npy")]
    assert find_option_files("betas:path=b d.npy") == [Path("b d.npy")]
    assert find_option_files("ddim@linear", "b.npy") == []


def test_what_is_not_there_yet_is_compared_by_where_it_would_be(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="one file"):
        require_distinct_files([Path("a.png"), tmp_path / "link" / "a.png"])
    require_distinct_files([Path("a.png"), Path("b.png"), None], ["c.png", None, "ddim"])


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
    writer = OutputWriter()
    writer.add("a", tmp_path / "no" / "a", lambda path: path.write_bytes(b"a"))
    writer.add("b", tmp_path / "b", lambda path: path.write_bytes(b"b"))
    writer.add("c", tmp_path / "no" / "c", lambda path: path.write_bytes(b"c"))
    with pytest.raises(DtoolError, match=r"a: can't be written .*; .*c: can't be written .*; written: .*/b\n"):
        writer.finish()
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


@pytest.mark.parametrize("name", ["new.png", "NEW.PNG", "deeper/New.Npz"])
def test_a_picture_of_any_spelling_is_not_put_among_the_images(name):
    Path("images/deeper").mkdir(parents=True)
    with pytest.raises(UsageError, match="would be one of the images in images the next time"):
        require_distinct_files([Path("images") / name], ["images"])
    require_distinct_files([Path("images/new.json"), Path(name).with_suffix(".json")], ["images"])
