"""The test of `dtool/<room>/<module>.py` is `tests/<room>/test_<module>.py`."""

import re
from pathlib import Path

import pytest

import dtool
from tests.support.places import ROOT

PACKAGE, TESTS = Path(dtool.__file__).parent, ROOT / "tests"
ROOMS = sorted(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists())
# Folders beside the rooms: tests of the documentation, of the examples, with other libraries, and what tests share.
BESIDE = {"benchmarks", "docs", "examples", "mutants", "parity", "support"}
LONG = 40  # lines, from which on a module has a test file of its own
# Long modules without one, each with the reason.
TESTED_ELSEWHERE = {
    "run/onnxruntime_opening": "reached through dtool.load alone: test_onnx_opening.py, test_load.py",
    "models/readers/onnx_parts": "reached through a folder alone: test_onnx_folder.py",
    "cli/flags/named_plan": "reached through a command alone: tests/cli/commands/test_sample.py",
    "cli/flags/sample_words": "reached through a command alone: tests/cli/commands/test_sample.py",
    "cli/show/filling": "reached through a command alone: tests/cli/commands/test_sample_into.py",
    "export/job": "what an export is told and says: test_api.py",
    "export/sampler/tokenizer_files": "reached through dtool.export alone: test_text_graph.py",
    "samplers/explicit_runge_kutta": "tableaux alone: samplers/engines/test_tableau.py has their order conditions",
    "bridges/azula_driver": "each of azula's samplers, against its own run: test_azula_words.py",
    "bridges/diffusers_driver": "each class's loop, against its own run: test_adoption.py",
    "bridges/diffusers_levels": "levels of each class: test_adoption.py, tests/certify/test_adopted.py",
    "bridges/foreign_options": "options of words: test_diffusers_words.py",
    "bridges/installed": "reached through a word alone: test_diffusers_words.py, test_adopt.py",
    "bridges/probe": "what it sees: test_unrolled.py",
    "bridges/sigma_driver": "functions in k-diffusion's form: test_k_diffusion.py, test_adopt.py",
    "bridges/lent_run": "what pipelines ask for: test_diffusers.py",
    "bridges/trained_network": "what a config says of a network: test_diffusers.py, test_scheduler_configs.py",
    "onnx/parallel_session": "runs of a sampler's file side by side: tests/run/test_sampler_calls.py",
    "onnx/external_tensor": "reached through a file alone: test_external_data.py",
}


def modules_of(room: str) -> set[str]:
    """Every module and package of a room by its path in it, without `.py`."""
    paths = {path.relative_to(PACKAGE / room).with_suffix("") for path in (PACKAGE / room).rglob("*.py")}
    return {str(path.parent if path.name == "__init__" else path) for path in paths}


def files_of(room: str) -> dict[str, Path]:
    """Every test file of a room by the path of the module that it names."""
    paths = (TESTS / room).rglob("test_*.py")
    return {str(path.relative_to(TESTS / room).with_name(path.stem.removeprefix("test_"))): path for path in paths}


def count_lines(room: str, module: str) -> int:
    """The lines of a module; none of a package, whose modules count."""
    path = PACKAGE / room / f"{module}.py"
    return len(path.read_text(encoding="utf-8").splitlines()) if path.exists() else 0


def find_module(file: str, modules: set[str]) -> str | None:
    """The module that a test file names: `test_compare.py`, and `test_compare_gate.py` for a part of its tests."""
    names = (file, *(file[: at.start()] for at in re.finditer("_", file)))
    return next((name for name in names if name in modules), None)


@pytest.mark.parametrize("room", ROOMS)
def test_a_test_file_names_a_module(room):
    modules = modules_of(room)
    strangers = sorted(file for file in files_of(room) if not find_module(file, modules))
    assert not strangers, f"tests/{room}: no module of dtool/{room} has one of these names"


@pytest.mark.parametrize("room", ROOMS)
def test_a_long_module_has_a_test_file(room):
    named = {find_module(file, modules_of(room)) for file in files_of(room)}
    long = {
        module for module in modules_of(room)
        if (PACKAGE / room / f"{module}.py").exists()
        and len((PACKAGE / room / f"{module}.py").read_text(encoding="utf-8").splitlines()) > LONG
    }  # fmt: skip
    missing = {f"{room}/{module}" for module in long - named}
    exceptions = {module for module in TESTED_ELSEWHERE if module.startswith(f"{room}/")}
    assert missing == exceptions, "every long module has a test file, or a reason in TESTED_ELSEWHERE"


def test_every_folder_of_tests_is_a_room_or_beside_them():
    folders = {path.name for path in TESTS.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders <= {*ROOMS, *BESIDE}
    for folder in (path.parent for path in TESTS.rglob("*.py")):
        assert (folder / "__init__.py").exists(), f"{folder} is no package, so two files in it of one name would clash"


def test_files_beside_the_rooms_name_a_module_or_a_rule_of_the_house():
    names = {path.stem.removeprefix("test_") for path in TESTS.glob("test_*.py")}
    modules = {path.stem for path in PACKAGE.glob("*.py")}
    assert names <= {*modules, "door", "imports", "layout", "records"}
