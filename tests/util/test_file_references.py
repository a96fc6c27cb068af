"""A recipe that comes from a file names no other file."""

from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
from pydantic import Field

from dtool.errors import UsageError
from dtool.plan.recipe import parse_recipe_of_file
from dtool.schedulers.schedule import Schedule, from_lam
from dtool.schedulers.scheduler import scheduler
from dtool.util.file_references import contain_names


@pytest.mark.parametrize(
    "token",
    [
        'ddim/file:path="/etc/hostname"', 'ddim@betas:path="/etc/hostname"',
        'analytic-ddpm:stats="/etc/hostname"', 'ddim/karras:over="file:path=/etc/hostname"',
        'ddim/restart:base="file:path=/etc/hostname"', 'ddim/repaint:base="karras:over=\\"file:path=/etc/hostname\\""',
    ],
)  # fmt: skip
def test_a_recipe_in_a_file_names_no_other(token):
    with pytest.raises(UsageError) as error:
        parse_recipe_of_file(token, "a file")
    assert "a file names another file, by the option" in f"{error.value} {error.value.hint}"


def test_a_recipe_in_a_file_may_name_all_else():
    for token in ("ddpm:sigma=beta@cosine/karras:rho=5", "analytic-ddpm:stats=unit", "ddim/restart:base=karras"):
        assert parse_recipe_of_file(token, "a file").rule.name


def test_an_option_of_another_package_that_is_a_path():
    @scheduler("reads")
    def reads(*, source: Annotated[Path | None, Field(description="a file")] = None) -> Schedule:
        """Reads a file."""
        return from_lam(np.linspace(3, -3, 5))

    assert reads(source="anything").T == 5
    with contain_names("a file"), pytest.raises(UsageError, match="a file names another file, by the option 'source'"):
        reads(source="anything")
