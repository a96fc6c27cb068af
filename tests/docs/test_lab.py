"""docs/lab.md: it is what docs/lab.py lists, and its figures are found again."""

import importlib.metadata
import re

import pytest

from docs import lab
from tests.support.places import ROOT

PAGE = (ROOT / "docs" / "lab.md").read_text(encoding="utf-8")


def words_of(part):
    return re.findall(r"^\| `([^`]+)` \|", part, re.MULTILINE)


def test_the_page_has_every_configuration_once():
    adopted, refused = map(words_of, PAGE.split("## Refused"))
    assert len(adopted) >= 150
    assert sorted(adopted + refused) == sorted(lab.list_words())
    assert f"{len(adopted)} configurations that dtool adopts, {len(refused)} that it refuses" in PAGE


LINSPACE = "diffusers:DDIMScheduler:timestep_spacing=linspace,eta=0.0"


@pytest.mark.parametrize("word", [LINSPACE, "diffusers:DDPMParallelScheduler"])
def test_a_row_is_measured_again(word):
    pytest.importorskip("torch")
    pytest.importorskip("diffusers")
    if importlib.metadata.version("diffusers") != lab.PINNED["diffusers"]:
        pytest.skip("another version of diffusers is installed")
    row = lab.measure(word)
    assert row.cells[0] in PAGE
    wanted = next(line for line in PAGE.splitlines() if f"| `{word}` |" in line)
    cells = [cell.strip() for cell in wanted.split("|")[2:-1]]
    exact = [i for i in range(5) if i != 1 or float(cells[1]) > lab.WRONG]  # what is rounding differs between machines
    assert [row.cells[i] for i in exact] == [cells[i] for i in exact]
    assert "; ".join(row.remarks) == cells[5]
