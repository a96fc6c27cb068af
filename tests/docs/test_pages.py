"""The pages of docs/samplers, and how generated text is compared."""

from xml.etree import ElementTree as ET

import pytest

from dtool.plugins.registry import get_registry
from dtool.samplers.rule import sampler as rule_of
from tests.support.places import DOCS

BUILT_IN = [entry.name for entry in get_registry().samplers if entry.provider.name == "dtool"]


@pytest.fixture
def docs(monkeypatch):
    """docs/generate.py and its neighbours."""
    monkeypatch.syspath_prepend(str(DOCS))
    import chart
    import generate
    import pages

    return generate, pages, chart


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_sampler_has_a_page_and_a_picture(name):
    page = (DOCS / "samplers" / f"{name}.md").read_text(encoding="utf-8")
    picture = (DOCS / "samplers" / f"{name}.svg").read_text(encoding="utf-8")
    assert f"# {name}\n" in page
    assert f"({name}.md)" in (DOCS / "samplers" / "README.md").read_text(encoding="utf-8")
    assert f"({name}.svg)" in page
    assert ET.fromstring(picture).tag.endswith("svg")
    assert len(picture) < 8000
    assert "| fail |" not in page


def test_measured_figures_may_differ_a_little_and_nothing_else(docs):
    generate, _, _ = docs
    assert generate.in_step("order 2, ≈2.0 / ≈3.0", "order 2, ≈2.1 / ≈2.9", svg=False)
    assert not generate.in_step("order 2, ≈2.0", "order 2, ≈2.2", svg=False)
    assert not generate.in_step("order 2, ≈2.0", "order 3, ≈2.0", svg=False)
    assert not generate.in_step("≈2.0", "≈2.0 / ≈2.0", svg=False)
    assert generate.in_step('<circle cx="10"/>', '<circle cx="12"/>', svg=True)
    assert not generate.in_step('<circle cx="10"/>', '<circle cx="13"/>', svg=True)


def test_a_page_shows_the_step_and_its_equation(docs):
    _, pages, _ = docs

    @rule_of("shown", order=1, cite="arXiv:2006.11239, eq. 1", family="one step")
    def shown(now, to):
        """One line.

        Prose about |x|.

            x' = α'·x0 + σ'·ε

        More.
        """
        # a comment on the step
        return to.alpha * now.x0 + to.sigma * now.eps

    assert "```text\nx' = α'·x0 + σ'·ε\n```" in pages._fenced(shown.doc)
    assert pages._linked(shown.cite) == "[arXiv:2006.11239](https://arxiv.org/abs/2006.11239), eq. 1"
    source = pages._source(shown)
    assert "# a comment on the step" in source
    assert "One line" not in source
    assert "@rule_of" not in source


def test_a_picture_is_a_few_lines_of_svg(docs):
    _, _, chart = docs
    text = chart.svg("a < b & c", [("one", "#000000", [(4, 0.1), (8, 0.01), (16, 1e-9)], False)], "steps")
    tree = ET.fromstring(text)
    labels = [node.text for node in tree.iter() if node.tag.endswith("text")]
    assert "a < b & c" in labels
    assert {"4", "8", "16", "1e-9", "steps", "one"} <= set(labels)
    places = next(node.get("points") for node in tree.iter() if node.tag.endswith("polyline"))
    across = [int(pair.split(",")[0]) for pair in places.split()]
    assert across[1] - across[0] == pytest.approx(across[2] - across[1], abs=1)
