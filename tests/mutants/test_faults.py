"""The faults can still be put where they belong: each finds its text once, and what comes of it is Python."""

from __future__ import annotations

import ast

import pytest

from tests.mutants.fault import Fault
from tests.mutants.faults import FAULTS
from tests.mutants.stages import find_nearest, list_tests, make_stages
from tests.support.places import ROOT

TESTS = list_tests()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_finds_its_text_once(fault: Fault) -> None:
    source = (ROOT / fault.file).read_text(encoding="utf-8")
    assert source.count(fault.text) == 1, f"{fault.file} holds {fault.text!r} {source.count(fault.text)} times"
    changed = ast.parse(source.replace(fault.text, fault.replacement))
    assert ast.dump(changed) != ast.dump(ast.parse(source)), "nothing but a comment or the layout changes"


def test_each_has_a_name_of_its_own_and_says_what_is_wrong() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 72
    assert len({(fault.file, fault.text) for fault in FAULTS}) == len(FAULTS)
    assert all(fault.wrong and "\n" not in fault.wrong for fault in FAULTS)


def test_nearest_are_a_module_s_own_tests_and_of_a_sampler_the_certificates() -> None:
    assert find_nearest("dtool/util/files.py", TESTS) == ["tests/util/test_files.py"]
    engine = find_nearest("dtool/samplers/engines/adams.py", TESTS)
    assert engine[0] == "tests/samplers/engines/test_adams.py"
    assert set(engine[1:]) == {file for file in TESTS if file.startswith("tests/certify/")}
    assert find_nearest("dtool/cli/commands/sample.py", TESTS)[0] == "tests/cli/commands/test_sample.py"
    assert find_nearest("dtool/run/arithmetic.py", TESTS) == []


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_stages_run_every_test_once(fault: Fault) -> None:
    *first, last = make_stages(fault, TESTS, [], ())
    files = [file for stage in first for file in stage.tests]
    assert files, "no test is near"
    assert len(files) == len(set(files)) == len(last.done)
    assert last.tests == ()
