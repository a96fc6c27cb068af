"""The README's commands and code, run as they stand."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.places import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
SHELL = [
    line.split("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("dtool ")
]
WRITTEN = {command: re.findall(r" -o (\S+)", command) for command in SHELL}
CODE = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all commands run, one after another: some take what an earlier one has made."""
    return tmp_path_factory.mktemp("readme")


def needs(command: str) -> None:
    """Skip a command whose extra is not installed."""
    if " train " in command or " export " in command:
        for module in ("torch", "accelerate", "onnx"):
            pytest.importorskip(module)
    if "diffusers:" in command:
        pytest.importorskip("diffusers")


@pytest.mark.parametrize("command", SHELL)
def test_a_command_runs(command: str, folder: Path) -> None:
    needs(f" {command} ")
    words = shlex.split(command.partition(" > ")[0])
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=folder, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    for written in WRITTEN.get(command, []):
        assert (folder / written).is_file()


def test_the_commands_that_are_shown_leave_what_they_say() -> None:
    assert len(SHELL) >= 10, "the README shows the commands"
    written = {file for files in WRITTEN.values() for file in files}
    assert {"sevens.png", "noise.png", "forward.png", "model.pt", "model.onnx", "from_onnx.png"} <= written


@pytest.mark.parametrize("code", CODE, ids=range(len(CODE)))
def test_every_piece_of_python_runs(code: str, tmp_path: Path) -> None:
    script = tmp_path / "readme.py"
    script.write_text(code, encoding="utf-8")
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not [line for line in done.stdout.splitlines() if line.startswith("fail")], done.stdout


def test_the_file_is_used_as_its_page_says(tmp_path: Path) -> None:
    """docs/file.md: its Python, with numpy and ONNX Runtime alone, on a sampler's file; the inputs that it lists."""
    for module in ("onnx", "torch", "onnxruntime"):
        pytest.importorskip(module)
    page = (ROOT / "docs" / "file.md").read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    words = "dtool export --recipe dpmpp-2m/karras --steps 3 --no-check -o app.onnx"
    subprocess.run([sys.executable, "-m", *words.split()], cwd=tmp_path, capture_output=True, check=True)
    script = tmp_path / "page.py"
    ending = (
        "assert images.shape == (4, 1, 28, 28)\n"
        "print(*[n.name for n in [*session.get_inputs(), *session.get_overridable_initializers()]])\n"
    )
    script.write_text(code + ending, encoding="utf-8")
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [inputs] = re.findall(r"^## Inputs\n(.*?)^##", page, re.MULTILINE | re.DOTALL)
    assert set(done.stdout.split()) == set(re.findall(r"^\| `(\w+)` \|", inputs, re.MULTILINE))
