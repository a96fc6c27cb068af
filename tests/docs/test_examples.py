"""Every example runs: `>>>` in any docstring, and each block of Python on a page, without being named anywhere."""

from __future__ import annotations

import ast
import doctest
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import dtool
from tests.support.places import ROOT

SOURCES = sorted((ROOT / "dtool").rglob("*.py"))
GENERATED = "<!-- Written by docs/generate.py"  # such a page quotes the code itself
PAGES = [
    path
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md"),
                 *(ROOT / "examples").rglob("*.md"), *(ROOT / "benchmarks").glob("*.md")]
    if not path.read_text(encoding="utf-8").startswith(GENERATED)
]  # fmt: skip
BLOCK = re.compile(
    r"(?:<!-- (?P<said>[^\n]*?) -->\n)?^(?P<indent> *)```python\n(?P<code>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL
)
ROOMS = ("bench", "certify", "compare", "export", "likelihood", "metrics", "parts", "plan", "report", "targets")
# Why a public function has no example of its own.
WITHOUT = {
    "bench": "it measures for seconds",
    "export": "it needs PyTorch, and writes a file; README and docs/file.md show it",
    "render_page": "it needs the packages of the extra `report`, and a comparison's document",
    "require_packages": "it only raises where they are missing",
    "for_each_block_on_ray": "it needs a cluster of Ray",
    "checks": "its docstring shows a test, in pytest's words",
}


def examples_in(path: Path) -> list[doctest.DocTest]:
    """The docstrings of a file that hold examples."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text and ">>>" in text:
                name = f"{path.relative_to(ROOT)}:{getattr(node, 'name', 'module')}"
                names = {"__name__": "__main__", "dtool": dtool, "np": np}
                found.append(doctest.DocTestParser().get_doctest(text, names, name, str(path), node.body[0].lineno - 1))
    return found


EXAMPLES = [example for path in SOURCES for example in examples_in(path)]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name.removeprefix("dtool/"))
def test_an_example_gives_what_it_says(
    example: doctest.DocTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nothing but dtool and numpy imported; it leaves no file behind, and warns of nothing."""
    if "default_network" in example.docstring or "dtool.load" in example.docstring:
        pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.IGNORE_EXCEPTION_DETAIL)
    failed, tried = runner.run(example, out=said.append)
    assert tried
    assert not failed, "".join(said)
    assert not list(tmp_path.iterdir())


def public_functions() -> list[str]:
    """Every function that the door, or a room of it, offers, by the name that is typed."""
    named = [(name, getattr(dtool, name)) for name in dtool.__all__]
    for room in ROOMS:
        named += [(f"{room}.{name}", getattr(getattr(dtool, room), name)) for name in getattr(dtool, room).__all__]
    return [name for name, value in named if inspect.isfunction(value)]


@pytest.mark.parametrize("name", public_functions())
def test_a_public_function_has_an_example(name: str) -> None:
    function = dtool
    for part in name.split("."):
        function = getattr(function, part)
    if name.rpartition(".")[2] not in WITHOUT:
        assert ">>> " in (function.__doc__ or ""), f"give dtool.{name} an example, or say here why it has none"


def blocks_of(path: Path) -> list[tuple[int, str, str]]:
    """(line, what a comment above says, code) of each block of Python on a page."""
    text = path.read_text(encoding="utf-8")
    found = []
    for match in BLOCK.finditer(text):
        indent = len(match["indent"])
        code = "\n".join(line[indent:] for line in match["code"].splitlines())
        found.append((text.count("\n", 0, match.start("code")) + 1, match["said"] or "", code))
    return found


WITH_CODE = [path for path in PAGES if any(not said.startswith("not run:") for _, said, _ in blocks_of(path))]


@pytest.mark.parametrize("path", WITH_CODE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_code_of_a_page_runs(path: Path, tmp_path: Path) -> None:
    """Its blocks, one after the other as a reader would type them, in one session in an empty folder."""
    pytest.importorskip("onnxruntime")
    blocks = [(line, code) for line, said, code in blocks_of(path) if not said.startswith("not run:")]
    steps = [f"exec(compile({code!r}, {f'{path.name}, line {line}'!r}, 'exec'))" for line, code in blocks]
    script = tmp_path / "page.py"
    script.write_text("__name__ = 'page'\n" + "\n".join(steps) + "\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", script.name],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_what_is_not_run_says_why() -> None:
    for path in PAGES:
        for line, said, _ in blocks_of(path):
            if said.startswith("not run:"):
                assert len(said.removeprefix("not run:").split()) >= 2, f"{path.name}, line {line}: say why"


def test_pages_with_code_are_found() -> None:
    assert len(EXAMPLES) >= 40
    assert {"README.md", "CONTRIBUTING.md", "metrics.md", "likelihood.md"} <= {path.name for path in WITH_CODE}
