"""Who may import whom: packages import downwards only, and heavy libraries live in one place each."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import dtool

ROOT = Path(dtool.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
# From the ground up; packages of one line may import each other.
LAYERS = [
    {"errors", "version", "util"},
    {"plugins"},
    {"schedulers"},
    {"spacings", "samplers", "guidances"},
    {"plan"},
    {"models"},
    {"onnx"},
    {"run"},
    {"models/readers"},
    {"bridges"},
    {"measure"},
    {"data"},
    {"targets"},
    {"parts"},
    {"metrics"},
    {"training"},
    {"certify"},
    {"compare"},
    {"likelihood"},
    {"fit"},
    {"report"},
    {"export"},
    {"bench"},
    {"cli"},
    {"__main__"},
]
LEVEL = {name: i for i, names in enumerate(LAYERS) for name in names}
HEAVY = {
    "torch": [
        "models",
        "bridges",
        "training",
        "export",
        "likelihood/autograd.py",
        "metrics/fidelity.py",
        *(f"run/{n}.py" for n in ("torch_backend", "torch_compiled", "onnxruntime_device")),
        *(f"run/{n}.py" for n in ("sentence_module", "sentence_text")),
    ],
    "accelerate": ["training"],
    "safetensors": ["models", "training"],
    "sklearn": ["data"],
    "tokenizers": ["models/readers", "models/token_ids.py"],
    "transformers": ["models/readers", "run/sentence_module.py"],
    "onnx": ["export", "onnx/rewrite"],
    "onnxscript": ["export"],
    "onnxruntime": ["onnx/session.py", "onnx/parallel_session.py", "export/smaller/int8.py"],
    "altair": ["report"],
    "jinja2": ["report"],
    "ray": ["parts/ray_tasks.py"],
    "typer": ["cli"],
    "rich": ["cli"],
}


def imports(path):
    """(module, line) of every import in a file, those inside functions included, those for type checkers not."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    only_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if node in only_types:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node.lineno
            if node.module == "dtool":
                yield from ((f"dtool.{alias.name}", node.lineno) for alias in node.names)


def home(path):
    """The part of dtool that a file belongs to."""
    where = path.relative_to(ROOT).as_posix()
    return next(
        (place for place in LEVEL if "/" in place and where.startswith(f"{place}/")),
        where.partition("/")[0].removesuffix(".py"),
    )


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path):
    own = home(path)
    if own == "__init__":
        return
    assert own in LEVEL, f"{own} has no place in the order of packages"
    for module, line in imports(path):
        part = (
            home(ROOT / f"{module.removeprefix('dtool.').replace('.', '/')}.py")
            if module.startswith("dtool.")
            else None
        )
        if part in LEVEL:
            assert LEVEL[part] <= LEVEL[own], f"{path.name}:{line} imports {module}, which is above {own}"


SHARED_BY_PAPERS = {"dtool.samplers.claims", "dtool.samplers.rule"}


@pytest.mark.parametrize("path", sorted((ROOT / "samplers").glob("*.py")), ids=lambda p: p.stem)
def test_no_papers_file_imports_that_of_another_paper(path):
    """What methods share is in samplers/engines."""
    for module, line in imports(path):
        if module.startswith("dtool.samplers.") and not module.startswith("dtool.samplers.engines."):
            assert module in SHARED_BY_PAPERS, f"{path.name}:{line} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_heavy_libraries_have_a_home(path):
    where = path.relative_to(ROOT).as_posix()
    for module, line in imports(path):
        allowed = HEAVY.get(module.split(".")[0])
        if allowed is not None:
            assert any(where == place or where.startswith(f"{place}/") for place in allowed), (
                f"{where}:{line}: {module}"
            )


def loaded_by(code):
    """The top-level modules that a fresh interpreter has after `code`."""
    script = f"{code}\nimport sys; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


HEAVY_ONES = {"torch", "onnx", "onnxruntime", "accelerate", "sklearn", "safetensors", "scipy"}


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import dtool", HEAVY_ONES | {"numpy", "pydantic", "pluggy", "typer", "rich", "PIL"}),
        ("import dtool; dtool.plan('ddim@cosine/karras', steps=5)", HEAVY_ONES | {"typer", "rich"}),
        ("import dtool.certify; next(iter(dtool.certify.checks('ddim')))()", HEAVY_ONES | {"typer", "rich"}),
    ],
    ids=["import dtool", "dtool.plan", "dtool.certify"],
)
def test_nothing_is_loaded_before_it_is_needed(code, absent):
    assert not loaded_by(code) & absent


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        dtool.nonsense  # noqa: B018
    assert set(dtool.__all__) <= set(dir(dtool))
    for name in ("plan", "sample", "check", "get_scheduler", "get_spacing", "get_sampler", "load", "network"):
        assert callable(getattr(dtool, name)), name
