"""dtool.report: what the page holds, without a browser."""

import base64
import copy
import hashlib
import json
import re
import sys
from importlib import resources

import numpy as np
import pytest

import dtool
from dtool.compare.run import SOLVER_IMAGES
from dtool.errors import UsageError
from dtool.report import render_page
from dtool.report.values import hash_script
from tests.support import report_documents
from tests.support.report_pages import Elements, draw_images, draw_traces, make_small_document, read_data

HOSTILE = report_documents.HOSTILE


def test_one_file_that_asks_for_nothing(page):
    elements = Elements(page[-1])
    for tag, attributes in elements.found:
        assert tag not in {"iframe", "object", "embed", "base", "form"}
        for name in ("src", "href", "srcset", "action", "poster", "xlink:href"):
            value = attributes.get(name, "#")
            assert value.startswith(("#", "data:")), (tag, value)
        assert not any(name.startswith("on") for name in attributes), "handlers in attributes"
    styles = page[-1].partition("<style>")[2].partition("</style>")[0]
    assert "@import" not in styles
    assert "url(" not in styles
    assert "sourceMappingURL" not in page[-1]


def test_the_page_says_where_the_solution_begins(page):
    assert "320 steps from t = 999, wherever a recipe begins" in page[-1]


def test_the_policy_allows_these_scripts_and_no_network(page):
    elements = Elements(page[-1])
    (policy,) = [a["content"] for _, a in elements.found if a.get("http-equiv") == "Content-Security-Policy"]
    allowed = re.search("script-src ([^;]*)", policy)[1].split()
    executed = elements.scripts[1:]
    assert allowed == [hash_script(script) for script in executed]
    assert len(executed) == 4
    assert policy.startswith("default-src 'none';")
    assert "unsafe-eval" not in policy
    assert "connect-src" not in policy
    assert hash_script("x") == f"'sha256-{base64.b64encode(hashlib.sha256(b'x').digest()).decode()}'"


def test_names_are_text_wherever_they_stand(page):
    plain_tags = [tag for tag, _ in Elements(page[-1]).found]
    document = make_small_document()
    for entry in document["entries"]:
        entry["name"] += HOSTILE
        entry["recipe"] = entry["plan"] = entry["why_no_solver"] = HOSTILE
    for metric in document["metrics"]:
        metric["title"] = HOSTILE
    document |= {"verdict": HOSTILE, "command": HOSTILE, "model": HOSTILE, "class_names": [HOSTILE] * 10}
    document |= {"made": HOSTILE, "backend": HOSTILE, "device": HOSTILE, "machine": {HOSTILE: HOSTILE}}
    document["plugins"] = [{"name": HOSTILE, "version": HOSTILE, "status": HOSTILE}]
    document["versions"] = {HOSTILE: HOSTILE}
    document["data"]["name"] = document["reference"]["recipe"] = document["schedules"][0]["name"] = HOSTILE
    images = draw_images(document)
    text = render_page(document, images, draw_traces(document, images))
    elements = Elements(text)
    assert [tag for tag, _ in elements.found if tag == "time"] == ["time"]
    assert {*(tag for tag, _ in elements.found)} == {*plain_tags}
    assert [tag for tag, _ in elements.found].count("script") == 5
    assert not any("onerror" in attributes for _, attributes in elements.found)
    assert HOSTILE in "".join(elements.text)
    assert json.loads(elements.scripts[0])["document"]["verdict"] == HOSTILE


@pytest.mark.parametrize("seed", range(3))
def test_what_is_not_finite_is_null_and_left_out(seed):
    document = make_small_document(seed=seed)
    random = np.random.default_rng(seed)
    bad = [float("nan"), float("inf"), -float("inf"), None]
    for entry in document["entries"]:
        for key in ("seconds", "seconds_low", "images_per_second", "timing", "solver"):
            entry[key] = bad[random.integers(4)]
        for figure in entry["figures"].values():
            figure.update({key: bad[random.integers(4)] for key in random.permutation(list(figure))[:3]})
        entry["points"]["log_snr"][0] = float("inf")
        entry["solver"] = {"rmse": bad[random.integers(4)], "psnr": float("inf"), "low": None, "high": np.nan}
        entry["timing"] = {"network": np.float32("nan"), "rule": None}
    document["rmse"][0][1] = float("nan")
    text = render_page(document, draw_images(document))
    result = json.loads(Elements(text).scripts[0], parse_constant=lambda name: pytest.fail(f"{name} in the JSON"))
    assert result["document"]["rmse"][0][1] is None
    assert "nan" not in re.sub("[a-z]*nan[a-z]+|[a-z]+nan", "", "".join(Elements(text).text).lower())


def test_one_entry_without_anything_measured():
    document = {"format": 2, "entries": [{"name": "ddim", "recipe": "ddim", "steps": 3}]}
    text = render_page(document, np.zeros((1, 2, 1, 4, 4)))
    visible_text = " ".join(" ".join(Elements(text).text).split())
    for reason in ("No verdict was reached", "No converged solution was computed",
                   "There were no data to measure against", "The time was not split",
                   "The run has no schedule's curve", "The steps were not kept",
                   "None: every recipe comes with dtool"):  # fmt: skip
        assert reason in visible_text
    charts_of = read_data(text)["charts"]
    assert charts_of["solver"]["options"] == charts_of["law"]["options"] == []
    assert "How far the recipes are" not in visible_text


def test_the_size_that_can_be_mailed():
    """n = 16, six recipes, 20 steps of 28 x 28, from the package's network: below 3 MB."""
    (run,), images, (trace,) = report_documents.samples(("ddpm",), (20,))
    assert run.x0.shape == (16, 1, 28, 28)
    text = render_page(report_documents.document(steps=(20,)), images.repeat(6, axis=0), [trace] * 6)
    assert read_data(text)["pictures"]["frames"] == 21
    assert len(text.encode()) < 3_000_000


def test_the_page_holds_the_document_that_it_was_given():
    document = report_documents.document(("ddim",), (3,), n=4, shape=(1, 8, 8))
    assert read_data(render_page(document, draw_images(document)))["document"] == json.loads(json.dumps(document))


def test_what_bars_bands_and_points_are_is_said_rightly(page):
    visible_text = " ".join("".join(Elements(page[-1]).text).split())
    assert "a horizontal bar goes from the fastest to the slowest of the timed rounds" in visible_text
    assert "under seconds are the fastest and the slowest of the timed rounds" in visible_text
    assert "cannot be told from data by this metric" in visible_text
    assert "a point is the β of the whole step from one level to the next" in visible_text
    assert "of the first" not in visible_text
    document = report_documents.document(("ddim",), (3,), n=100, shape=(1, 8, 8))
    document["machine"]["load"] = 5.1103515625
    text = " ".join("".join(Elements(render_page(document, draw_images(document))).text).split())
    assert f"of the first {SOLVER_IMAGES} of 100 images" in text
    assert "5.11" in text
    assert "5.1103515625" not in text.partition('{"document"')[0]


def test_the_vendored_files_are_those_of_the_notice():
    folder = resources.files("dtool.report").joinpath("vendor")
    notice = folder.joinpath("NOTICE").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^(\S+\.js) .* ([0-9a-f]{64})$", notice, re.MULTILINE))
    here = {file.name: file.read_bytes() for file in folder.iterdir() if file.name.endswith(".js")}
    assert {*here} == {*listed}
    assert sum(map(len, here.values())) < 1_000_000
    for name, content in here.items():
        assert hashlib.sha256(content).hexdigest() == listed[name]
        assert b"</script" not in content.lower()
        assert b"<!--" not in content


@pytest.mark.parametrize("missing", ["altair", "jinja2"])
def test_without_the_extra_it_says_what_to_install(monkeypatch, missing, page):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(dtool.DtoolError, match="needs Altair and Jinja2") as raised:
        render_page(*page[:2])
    assert raised.value.hint == "pip install 'dtool-diffusion[report]'"


def test_a_wrong_document_is_refused(page):
    document, images, *_ = page
    with pytest.raises(UsageError, match="of format 1"):
        render_page(document | {"format": 1}, images)
    with pytest.raises(UsageError, match="no entries"):
        render_page(document | {"entries": []}, images)
    with pytest.raises(UsageError, match="not those of 4 entries"):
        render_page(document, images[:3])


def test_the_document_is_not_changed(page):
    document, images, traces, _ = page
    before = copy.deepcopy(document)
    render_page(document, images, traces)
    assert document == before
