"""The door: what README, the documentation or a docstring speaks of is there, as it is typed, after `import dtool`."""

from __future__ import annotations

import ast
import builtins
import dataclasses
import functools
import importlib
import json
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import dtool
from tests.support.places import ROOT

PACKAGE = ROOT / "dtool"
SOURCES = sorted(PACKAGE.rglob("*.py"))
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]
DOTTED = re.compile(r"(?<![\w./\-])dtool(?:\.[A-Za-z_]\w*)+")
FILE_ENDINGS = (".md", ".py", ".png", ".json", ".onnx")


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def docstrings(path: Path) -> Iterator[tuple[str, str]]:
    """(name of what is documented, docstring) of a file."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield getattr(node, "name", "the module"), text


def dotted_names(text: str) -> set[str]:
    return {name for name in DOTTED.findall(text) if not name.endswith(FILE_ENDINGS)}


def in_fresh_interpreter(code: str) -> str:
    """What `code` prints, run after `import dtool` and nothing else."""
    done = subprocess.run([sys.executable, "-c", f"import dtool\n{code}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def is_module(name: str) -> bool:
    place = ROOT.joinpath(*name.split("."))
    return place.is_dir() or place.with_suffix(".py").is_file()


def is_indoors(name: str) -> bool:
    """Whether a docstring says by it where something stands in the house: in a module, or in a room without a door."""
    parts = name.split(".")
    ends = range(2, len(parts) + 1)
    inside = any(ROOT.joinpath(*parts[:end]).with_suffix(".py").is_file() for end in ends)
    return inside or (parts[1] not in dtool.__all__ and is_module(".".join(parts[:2])))


def test_the_walk_finds_names() -> None:
    text = "`dtool.sample(net)`, dtool.run.noise, a/dtool.x, dtool.md"
    assert dotted_names(text) == {"dtool.sample", "dtool.run.noise"}
    assert is_indoors("dtool.run.noise.squares")
    assert not is_indoors("dtool.metrics.Reference")
    assert not is_indoors("dtool.nonsense")


def test_names_in_the_documentation_can_be_typed() -> None:
    """Pages speak to users: each name works by attribute access alone, unless the whole of it is a module."""
    places, typed = {}, {}
    for path in PAGES:
        for name in dotted_names(path.read_text(encoding="utf-8")):
            (places if is_module(name) else typed)[name] = str(path.relative_to(ROOT))
    for path in SOURCES:
        for owner, text in docstrings(path):
            for name in dotted_names(text):
                (places if is_indoors(name) else typed)[name] = f"{path.relative_to(ROOT)}, {owner}"
    assert len(typed) > 20
    for name, where in places.items():
        try:
            pkgutil.resolve_name(name)
        except (ImportError, AttributeError) as error:
            pytest.fail(f"{where} speaks of {name}: {error}")
    code = f"""
for name in {sorted(typed)!r}:
    try:
        value = dtool
        for part in name.split(".")[1:]:
            value = getattr(value, part)
    except AttributeError as error:
        print(name, error)
"""
    missing = in_fresh_interpreter(code).splitlines()
    assert not missing, [f"{typed[line.split()[0]]}: {line}" for line in missing]


def identifiers(path: Path) -> set[str]:
    """Every name that the code of a file, not its text, has."""
    found = set()
    for node in ast.walk(parsed(path)):
        for field in ("name", "id", "attr", "arg", "asname"):
            value = getattr(node, field, None)
            if isinstance(value, str):
                found.update(value.split("."))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"[\w-]+", node.value):
            found.add(node.value)
    return found


def defined() -> set[str]:
    """Every function, class, module and package that dtool has."""
    names = {part for path in SOURCES for part in path.relative_to(ROOT).with_suffix("").parts}
    for path in SOURCES:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names.add(node.name)
    return names


# What docstrings quote from elsewhere: other libraries, a user's code, columns of a table.
def fields() -> set[str]:
    """The options that are handed on as a whole, and the columns of a plan: fields of records."""
    return {field.name for record in (dtool.Runtime, dtool.Plan) for field in dataclasses.fields(record)}


OF_OTHERS = {"mid", "hue", "label", "last_step", "UNet2DOutput", "model_dump_json"}


def test_a_name_in_backticks_exists() -> None:
    """`limit`, or `limit(x)`: it is in the code of that file, or dtool defines it somewhere. One letter is a symbol."""
    known = defined() | fields() | set(dir(builtins)) | OF_OTHERS
    missing = []
    for path in SOURCES:
        own = identifiers(path) | known
        for owner, text in docstrings(path):
            quoted = re.findall(r"(?<!`)`([A-Za-z_]\w+)(?:\([^`\n]*\))?`", text)
            missing += [f"{path.relative_to(ROOT)}, {owner}: `{name}`" for name in quoted if name not in own]
    assert not missing, "\n".join(missing)


PACKAGES = [".".join(path.parent.relative_to(ROOT).parts) for path in SOURCES if path.name == "__init__.py"]


@pytest.mark.parametrize("name", PACKAGES)
def test_nothing_hides_a_module_of_its_name(name: str) -> None:
    package = importlib.import_module(name)
    for module in pkgutil.iter_modules(package.__path__):
        try:
            value = getattr(package, module.name)
        except AttributeError:
            continue
        assert isinstance(value, ModuleType), f"{name}.{module.name} is a {type(value).__name__}, and a module"


def test_every_name_of_the_door_is_there() -> None:
    code = "import json; print(json.dumps({n: type(getattr(dtool, n)).__name__ for n in dtool.__all__}))"
    kinds = json.loads(in_fresh_interpreter(code))
    assert {"sampler", "scheduler", "spacing", "metric", "get_sampler", "get_scheduler", "get_spacing", "recommend",
            "likelihood", "metrics", "targets", "errors"} <= set(kinds)  # fmt: skip
    assert kinds["likelihood"] == "module"
    assert kinds["sampler"] == "function"
    for room in ("bench", "compare", "export", "plan"):
        assert callable(getattr(dtool, room)), room


def test_type_checkers_are_told_the_same_names() -> None:
    tree = parsed(PACKAGE / "__init__.py")
    [block] = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    told = {alias.asname: (line.module, alias.name) for line in block.body if isinstance(line, ast.ImportFrom)
            for alias in line.names}  # fmt: skip
    assert set(told) == set(dtool.__all__) - {"__version__"}
    for name, (module, attribute) in told.items():
        value = getattr(dtool, name)
        expected = pkgutil.resolve_name(f"{module}.{attribute}")
        assert value is expected, name


DECORATED = """
@dtool.sampler("mine", order=1)
def mine(now, to):
    return to.alpha * now.x0 + to.sigma * now.eps
plan = dtool.plan(dtool.Recipe(mine), scheduler="linear", steps=4)
print(dtool.get_sampler("euler").order, plan.rows, next(dtool.certify.checks(mine))().status)

@dtool.scheduler("fading")
def fading(*, T: int = 10):
    return dtool.from_alpha_bar(lambda u: (1 - u) ** 2, T, max_beta=0.999)
made = fading(T=5)
print(made.T, dtool.plan("ddim", scheduler=made, steps=5).rows, dtool.get_scheduler("cosine", T=8).T)

@dtool.spacing("even")
def even(schedule, n):
    return [(schedule.T - 1) * (1 - i / n) for i in range(n)]
print(even(made, 2).tolist(), dtool.plan("ddim", scheduler="cosine", spacing=even, steps=3).rows)
print(dtool.get_spacing("trailing")(made, 2).tolist())

@dtool.metric("spread", "ratio of variances", better="higher")
def spread(samples, reference):
    return samples.var() / reference.var()
images = [[float(i)] for i in range(8)]
print(spread([[0.0], [4.0]], [[0.0], [2.0]]), dtool.metrics.evaluate(spread, images, images).value)
"""


def test_the_decorators_decorate() -> None:
    assert in_fresh_interpreter(DECORATED).splitlines() == [
        "1 4 pass",
        "5 5 8",
        "[4.0, 2.0] 3",
        "[4.0, 1.0]",
        "4.0 1.0",
    ]
