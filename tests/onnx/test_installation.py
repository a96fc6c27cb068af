"""Broken installations of ONNX Runtime are named."""

import json
import re
import subprocess
import sys
import textwrap

import pytest

from tests.support.commandline import failed, plain_environment, ran

ort = pytest.importorskip("onnxruntime")


def installed(folder, monkeypatch, *names):
    """Make packages of these names appear to be installed, too."""
    for name in names:
        info = folder / f"{name.replace('-', '_')}-1.2.3.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2.3\n", encoding="utf-8")
    monkeypatch.syspath_prepend(folder)


def test_two_packages_of_one_module_are_named(capsys, described_file, tmp_path, monkeypatch):
    if "CUDAExecutionProvider" in ort.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    assert json.loads(ran(capsys, "env", "--json").out)["problems"] == []
    installed(tmp_path / "site", monkeypatch, "onnxruntime", "onnxruntime-gpu", "onnxruntime-directml")
    cause = "onnxruntime 1.2.3 and onnxruntime-gpu 1.2.3 and onnxruntime-directml 1.2.3 are installed together"
    remedy = "pip uninstall -y onnxruntime onnxruntime-gpu onnxruntime-directml; then one of them"
    failed(ran(capsys, "sample", described_file, "--device", "cuda"), 1, f"cuda is not there: {cause}", remedy)
    failed(ran(capsys, "sample", described_file, "--provider", "QNN"), 1, cause, remedy)
    found = json.loads(ran(capsys, "env", "--json").out)
    assert found["problems"][0]["cause"].startswith(cause)
    assert found["problems"][0]["remedy"].startswith(remedy)
    assert found["packages"]["onnxruntime-directml"] == "1.2.3"
    assert found["onnxruntime_providers"] == ort.get_available_providers()
    out = ran(capsys, "env").out
    assert f"problem               {cause}" in out
    assert f"remedy                {remedy}" in out


def test_a_module_that_lost_its_files(capsys, described_file, tmp_path, monkeypatch):
    installed(tmp_path / "site", monkeypatch, "onnxruntime")
    monkeypatch.delattr(ort, "get_available_providers")
    cause, remedy = "the files of onnxruntime 1.2.3 are not all there", "--force-reinstall --no-deps onnxruntime==1.2.3"
    failed(ran(capsys, "sample", described_file), 1, cause, remedy)
    failed(ran(capsys, "sample", described_file, "--provider", "CUDA"), 1, cause, remedy)
    found = json.loads(ran(capsys, "env", "--json").out)
    assert found["problems"][0]["cause"].startswith(cause)
    assert found["onnxruntime_providers"] == []
    installed(tmp_path / "other", monkeypatch, "onnxruntime-gpu")
    failed(
        ran(capsys, "sample", described_file),
        1,
        "are installed together",
        "pip uninstall -y onnxruntime onnxruntime-gpu",
    )


BROKEN = """
    import sys
    sys.path.insert(0, "site")
    from dtool.cli import main
    sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("packages", "module", "cause", "hint"),
    [
        (["onnxruntime"], "raise ImportError('libstrange.so: cannot open')", "libstrange.so: cannot open", "--force-"),
        (["onnxruntime-gpu"], "", "installed together", "pip uninstall -y onnxruntime onnxruntime-gpu"),
    ],
)
def test_a_module_that_cannot_be_imported(described_file, tmp_path, monkeypatch, packages, module, cause, hint):
    installed(tmp_path / "site", monkeypatch, *packages)
    (tmp_path / "site" / "onnxruntime").mkdir()
    (tmp_path / "site" / "onnxruntime" / "__init__.py").write_text(module, encoding="utf-8")
    run = [sys.executable, "-c", textwrap.dedent(BROKEN)]
    done = subprocess.run(
        [*run, "sample", described_file], env=plain_environment(), capture_output=True, text=True, check=False
    )
    error, remedy = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert cause in error
    assert hint in remedy
    done = subprocess.run([*run, "env"], env=plain_environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert cause in done.stdout
    assert re.search(r"^providers +-$", done.stdout, re.MULTILINE)
