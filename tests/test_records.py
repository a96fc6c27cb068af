"""Records with more than four fields are made by keyword: no call depends on the order of many fields."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
from pathlib import Path

import pytest

import dtool

ROOT = Path(dtool.__file__).parent
MOST_FIELDS = 4  # of a record that may be made by position
LEADING = 2  # of a larger one: those that its name alone makes clear, as in Schedule(alpha, sigma)


def find_records():
    """(module, name, whether it is a tuple) of every dataclass and NamedTuple in the source with many fields."""
    for path in sorted(ROOT.rglob("*.py")):
        module = ".".join(("dtool", *path.relative_to(ROOT).with_suffix("").parts))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                is_tuple = any("NamedTuple" in ast.unparse(base) for base in node.bases)
                is_record = is_tuple or any("dataclass" in ast.unparse(each) for each in node.decorator_list)
                count = sum(isinstance(statement, ast.AnnAssign) for statement in node.body)
                if is_record and count > MOST_FIELDS:
                    yield module, node.name, is_tuple


RECORDS = list(find_records())
TUPLES = {name for _, name, is_tuple in RECORDS if is_tuple}


def test_there_are_records_of_both_kinds():
    assert len(RECORDS) > 50
    assert TUPLES


@pytest.mark.parametrize(("module", "name"), [record[:2] for record in RECORDS if not record[2]])
def test_a_record_with_many_fields_is_made_by_keyword(module, name):
    try:
        record = getattr(importlib.import_module(module), name)
    except ImportError as error:
        pytest.skip(f"needs {error.name}")
    assert dataclasses.is_dataclass(record)
    kinds = [parameter.kind for parameter in inspect.signature(record.__init__).parameters.values()][1:]
    if len(kinds) > MOST_FIELDS:
        assert kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD) <= LEADING, f"{module}.{name}: kw_only=True"


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_tuple_with_many_fields_is_never_called_by_position(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", None))
            assert name not in TUPLES or not node.args, f"{path.name}:{node.lineno}: {name} by position"
