"""dtool.report's page, opened in a headless browser and used."""

import csv
import io
import itertools
import json
import re
import time

import numpy as np
import pytest

pytest.importorskip("altair")
pytest.importorskip("jinja2")
pytest.importorskip("fcntl", reason="the browser is driven through a pipe, as on Linux and macOS")

from dtool.report import pictures
from dtool.report import render_page as make_page
from tests.support import browser, report_documents

READY = "document.documentElement.dataset.ready === 'yes'"
TILE = """(() => {{ const line = document.querySelectorAll('#grid tbody tr')[{image}];
    const canvas = line.querySelectorAll('canvas')[{row}];
    return [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]; }})()"""


@pytest.fixture(scope="module")
def found():
    """Two recipes of the package's network, at 3 and at 6 steps."""
    _, images, traces = report_documents.samples(("ddpm", "ddim"), (3, 6), n=3)
    document = report_documents.document(("ddpm", "ddim"), (3, 6), n=3)
    flat = images.reshape(len(images), -1)
    document["rmse"] = [[float(np.sqrt(np.mean((a - b) ** 2))) for b in flat] for a in flat]
    return document, images, traces


@pytest.fixture(scope="module")
def view(tmp_path_factory):
    if browser.find() is None:
        pytest.skip(f"no browser: none of {', '.join(browser.NAMES)} is installed")
    window = browser.Browser(browser.find(), tmp_path_factory.mktemp("profile"))
    yield window
    window.close()


@pytest.fixture(scope="module")
def address(found, tmp_path_factory):
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(make_page(*found), encoding="utf-8")
    return file.as_uri()


@pytest.fixture
def opened(view, address):
    look(view, address)
    yield view
    assert view.complaints == []
    assert asked(view) == [address]


def look(view, address, **media):
    features = {"prefers-color-scheme": "light", "prefers-reduced-motion": "no-preference"} | {
        name.replace("_", "-"): value for name, value in media.items()
    }
    listed = [{"name": name, "value": value} for name, value in features.items()]
    view.call("Emulation.setEmulatedMedia", features=listed, media="")
    view.open(address)
    view.wait(READY, 120)


def asked(view):
    return [url for url in view.requests if not url.startswith("data:")]


def step(view, at, id_="step"):
    view.evaluate(f"(() => {{ const e = document.getElementById('{id_}'); e.value = {at};"
                  "e.dispatchEvent(new Event('input', {bubbles: true})); })()")  # fmt: skip


def choose(view, id_, value):
    view.evaluate(f"(() => {{ const e = document.getElementById('{id_}'); e.value = '{value}';"
                  "e.dispatchEvent(new Event('change', {bubbles: true})); })()")  # fmt: skip


def click(view, selector):
    view.evaluate(f"document.querySelector('{selector}').click()")


def text(view, selector):
    return view.evaluate(f"document.querySelector('{selector}').innerText")


def tile(view, row, image):
    """What the grid shows, in the data's range, (28, 28)."""
    pixels = np.array(view.evaluate(TILE.format(row=row, image=image))).reshape(28, 28, 4)
    return pixels[..., 0] / 127.5 - 1


def near(shown, expected, levels):
    return np.abs(shown - np.clip(expected, -1, 1)).max() <= 1.01 / (levels - 1) + 1 / 255


def test_it_opens_alone_and_in_silence(opened):
    assert opened.evaluate("document.querySelectorAll('.chart svg').length") == 4 + 1 + 3 + 1
    assert opened.evaluate("fetch('data:,x').then(() => 'read', () => 'refused')") == "refused"
    opened.complaints.clear()  # the refusal is logged
    links = opened.evaluate("[...document.querySelectorAll('a[href]')].map((a) => a.getAttribute('href'))")
    assert all(link.startswith("#") for link in links), "the charts have no menu that leads out"


def test_the_slider_shows_every_recipe_at_the_same_part_of_its_run(opened, found):
    _, images, traces = found
    x, x0 = (pictures.LEVELS[kind] for kind in ("x", "x0"))
    for at in (0, 2, 5, 6):
        step(opened, at)
        for row, (trace, image) in enumerate(zip(traces, (0, 1, 2, 0), strict=True)):
            steps = len(trace["x0"])
            state = int(np.floor(at / 6 * steps + 0.5))
            exact = trace["x"][state] / max(1, np.sqrt(np.mean(trace["x"][state] ** 2)))
            if state == steps:
                exact = images[row]
            assert near(tile(opened, row, image), exact[image, 0], 256 if state == steps else x[0]), (at, row)
    heads = "[...document.querySelectorAll('#grid .at')].map((e) => e.textContent)"
    step(opened, 2)
    assert [head.partition(",")[0] for head in opened.evaluate(heads)] == ["step 1 of 3", "step 2 of 6"] * 2
    click(opened, "input[value=x0]")
    assert near(tile(opened, 1, 2), traces[1]["x0"][2][2, 0], x0[0])
    assert opened.evaluate("document.getElementById('step').getAttribute('aria-valuetext')") == "33 % of the run"


def test_the_difference_and_its_rmse(opened, found):
    document, _, traces = found
    click(opened, "#difference")
    texts = opened.evaluate("[...document.querySelectorAll('#grid .at')].map((e) => e.textContent)")
    for row in (1, 2, 3):
        assert float(texts[row].removeprefix("RMSE ")) == pytest.approx(document["rmse"][0][row], rel=6e-3)
    assert texts[0].startswith("step 3")
    click(opened, "input[value=x0]")
    step(opened, 3)
    texts = opened.evaluate("[...document.querySelectorAll('#grid .at')].map((e) => e.textContent)")
    exact = np.sqrt(np.mean((traces[3]["x0"][3].clip(-1, 1) - traces[0]["x0"][2].clip(-1, 1)) ** 2))
    assert float(texts[3].removeprefix("RMSE ")) == pytest.approx(exact, abs=0.03)
    assert "difference to A, ddpm · 3" in text(opened, "#legend")


def test_the_keys(opened):
    def value(id_):
        return opened.evaluate(f"document.getElementById('{id_}').value")

    codes = {"ArrowLeft": 37, "ArrowRight": 39, "ArrowDown": 40}

    def press(*keys):
        for key in keys:
            opened.press(key, codes.get(key) or ord(key.upper()), "" if key in codes else key)

    press("ArrowLeft", "ArrowLeft", "ArrowRight")
    assert value("step") == "5"
    press("a", "3", "b", "4")
    assert (value("a"), value("b")) == ("2", "3")
    press("d")
    assert opened.evaluate("document.getElementById('difference').getAttribute('aria-pressed')") == "true"
    press("x")
    assert opened.evaluate("document.querySelector('input[value=x0]').checked")
    press("z")
    assert opened.evaluate("document.getElementById('viewer').open")
    assert text(opened, "#viewer-title") == "Seed 0, class 0"
    press("ArrowDown", "1")
    assert text(opened, "#viewer-title") == "Seed 1, class 1"
    assert "ddpm · 3" in text(opened, "[data-pane=b]")
    press("z", "?")
    assert opened.evaluate("document.getElementById('help').open && !document.getElementById('viewer').open")
    press("?")
    opened.evaluate("document.getElementById('a').focus()")
    press("3")
    assert value("step") == "5", "a select keeps its keys"
    opened.evaluate("document.activeElement.blur(); document.getElementById('keys').checked = false")
    press("ArrowLeft")
    assert value("step") == "5", "keys can be turned off"


def test_flicker_shows_one_and_then_the_other(opened, view, address):
    click(opened, "#zoom")
    click(opened, "#flicker")
    shown = "[...document.querySelectorAll('#panes figure')].filter((e) => !e.hidden).map((e) => e.dataset.pane).join()"
    assert opened.evaluate(shown) in ("a,difference", "b,difference")
    other = {"a,difference": "b,difference", "b,difference": "a,difference"}[opened.evaluate(shown)]
    opened.wait(f"({shown}) === '{other}'", 30)
    look(view, address, prefers_reduced_motion="reduce")
    click(view, "#zoom")
    click(view, "#flicker")
    time.sleep(0.8)
    assert view.evaluate(shown) == "a,difference", "nothing moves of itself"
    view.evaluate("document.activeElement.blur()")
    view.press(" ", 32, " ")
    assert view.evaluate(shown) == "b,difference"


def test_sorting_by_mouse_and_keyboard(opened, found):
    heads = opened.evaluate(
        "[...document.querySelectorAll('#figures thead tr:last-child button')].map((e) => e.innerText)"
    )
    column = heads.index("RMSE")
    order = "[...document.querySelectorAll('#figures tbody tr')].map((e) => Number(e.dataset.row))"
    opened.evaluate(f"document.querySelectorAll('#figures thead button')[{column}].focus()")
    values = [(entry["solver"] or {}).get("rmse") for entry in found[0]["entries"]]
    known = sorted((i for i in range(4) if values[i] is not None), key=lambda i: values[i])
    without = [i for i in range(4) if values[i] is None]
    for rows, sort in ((known + without, "ascending"), (known[::-1] + without, "descending")):
        opened.press("Enter", 13, "\r")
        assert opened.evaluate(order) == rows
        states = opened.evaluate("[...document.querySelectorAll('#figures [aria-sort]')].map((e) => e.ariaSort)")
        assert states[column] == sort
        assert states.count("none") == len(states) - 1
    opened.evaluate(f"document.querySelectorAll('#figures thead button')[{heads.index('Recipe')}].click()")
    assert opened.evaluate(order)[:2] == [2, 3]


def test_csv_and_json_hold_all_figures(opened, found):
    opened.evaluate("""(() => { window.files = []; const make = URL.createObjectURL;
        URL.createObjectURL = (blob) => { files.push(blob); return make(blob); };
        HTMLAnchorElement.prototype.click = function () { files.push(this.download); }; })()""")
    click(opened, "#csv")
    click(opened, "#json")
    names = opened.evaluate("[files[1], files[3]]")
    assert names == ["dtool-compare-2026-11-21.csv", "dtool-compare-2026-11-21.json"]
    rows = [*csv.DictReader(io.StringIO(opened.evaluate("files[0].text()"), newline=""))]
    for row, entry in zip(rows, found[0]["entries"], strict=True):
        assert (row["name"], int(row["steps"])) == (entry["name"], entry["steps"])
        assert float(row["seconds"]) == entry["seconds"]
        assert float(row["mmd_high"]) == entry["figures"]["mmd"]["high"]
        assert row["solver_rmse"] == "" if entry["solver"] is None else float(row["solver_rmse"])
    assert json.loads(opened.evaluate("files[2].text()")) == json.loads(json.dumps(found[0]))


def test_the_measure_and_the_steps_can_be_chosen(opened, found):
    labels = "[...document.querySelectorAll('[data-chart={}] svg')].map((e) => e.textContent).join(' ')"
    assert "MMD² (RBF)" in opened.evaluate(labels.format("law"))
    opened.evaluate("(() => { const e = document.querySelector('[data-measure=law]'); e.value = '2';"
                    "e.dispatchEvent(new Event('change')); })()")  # fmt: skip
    opened.wait(f"({labels.format('law')}).includes('Coverage')", 30)
    assert "RMSE" in opened.evaluate(labels.format("solver")), "the other error's charts stay"
    marks = "document.querySelector('[data-key=beta] svg').querySelectorAll('.mark-symbol path').length"
    opened.wait(f"{marks} === 3", 30)
    choose(opened, "shown", "1")
    opened.wait(f"{marks} === 6", 30)


def luminance(colour):
    channels = np.array([int(part) for part in re.findall(r"\d+", colour)[:3]]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ (0.2126, 0.7152, 0.0722)


COLOURS = """(() => {
    const paper = getComputedStyle(document.body).backgroundColor;
    const seen = (what, selectors) => [...document.querySelectorAll(selectors)].map((e) => getComputedStyle(e)[what]);
    return [paper, seen('color', 'h1, .note, .facts, nav a, .figures small, .recipe .at, dt, #grid tbody th, summary')
        .concat(seen('fill', '.chart svg text')),
        seen('backgroundColor', '.dot').concat(seen('stroke', '.mark-symbol path[stroke^=var]'))];
})()"""


def test_it_can_be_read_by_day_and_by_night(opened):
    """WCAG 2: a contrast of 4.5 for text, and of 3 for the marks of a chart."""
    for system, theme in (("light", ""), ("dark", ""), ("light", "dark"), ("dark", "light")):
        opened.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": system}])
        choose(opened, "theme", theme)
        paper, texts, marks = opened.evaluate(COLOURS)
        assert len(texts) > 50
        assert len(marks) > 10
        assert (luminance(paper) < 0.1) == ((theme or system) == "dark")
        for colours, least in ((texts, 4.5), (marks, 3.0)):
            for colour in colours:
                darker, lighter = sorted((luminance(colour), luminance(paper)))
                assert (lighter + 0.05) / (darker + 0.05) > least, (colour, paper)
    choose(opened, "theme", "dark")
    opened.open(asked(opened)[0])
    opened.wait(READY, 120)
    assert opened.evaluate("document.documentElement.dataset.theme") == "dark", "the choice is kept"
    choose(opened, "theme", "")
    opened.call("Emulation.setEmulatedMedia", media="print")
    paper, texts, _ = opened.evaluate(COLOURS)
    assert luminance(paper) > 0.9, "paper is white"
    assert max(map(luminance, texts)) < 0.2


def test_nothing_sticks_out_on_a_phone(opened):
    try:
        for width in (360, 390, 768):
            size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": True}
            opened.call("Emulation.setDeviceMetricsOverride", **size)
            opened.wait(f"innerWidth === {width} && document.documentElement.scrollWidth <= {width}", 30)
    finally:
        opened.call("Emulation.clearDeviceMetricsOverride")


def test_no_number_of_a_chart_is_cut_off(opened):
    cut = """[...document.querySelectorAll('.chart svg')].flatMap((chart) => {
        const box = chart.getBoundingClientRect();
        return [...chart.querySelectorAll('text')].filter((text) => {
            const own = text.getBoundingClientRect();
            return own.width > 0 && (own.right > box.right + 0.5 || own.left < box.left - 0.5);
        }).map((text) => text.textContent); })"""
    assert opened.evaluate(cut) == []


def test_a_box_that_scrolls_says_so(opened):
    cue = """(() => { const box = document.querySelector('.scroll:has(#figures)');
        return [box.classList.contains('more-right'), box.nextElementSibling.hidden,
                box.nextElementSibling.textContent.trim()]; })()"""
    try:
        opened.call("Emulation.setDeviceMetricsOverride", width=700, height=800, deviceScaleFactor=1, mobile=False)
        opened.wait("document.querySelector('.scroll:has(#figures)').classList.contains('more-right')", 30)
        assert opened.evaluate(cue) == [True, False, "More to the right ⟶"]
        opened.evaluate("document.querySelector('.scroll:has(#figures)').scrollLeft = 1e6")
        opened.wait("!document.querySelector('.scroll:has(#figures)').classList.contains('more-right')", 30)
        assert opened.evaluate(cue) == [False, False, ""]
        opened.call("Emulation.setDeviceMetricsOverride", width=9000, height=800, deviceScaleFactor=1, mobile=False)
        opened.evaluate("document.querySelector('main').style.maxWidth = 'none'")
        opened.wait("document.querySelector('.scroll:has(#figures)').nextElementSibling.hidden", 30)
    finally:
        opened.call("Emulation.clearDeviceMetricsOverride")


def test_everything_has_a_name_for_those_who_do_not_see_it(opened):
    nodes = [node for node in opened.call("Accessibility.getFullAXTree")["nodes"] if not node["ignored"]]
    named = {}
    for node in nodes:
        named.setdefault(node["role"]["value"], []).append(node.get("name", {}).get("value", ""))
    for role in ("button", "combobox", "slider", "radio", "table", "region", "image", "link"):
        assert all(named.get(role, ["-"])) or role == "table", (role, named[role])
    assert named["slider"] == ["Step"]
    assert "ddim · 6, seed 2, zoom" in named["button"]
    levels = opened.evaluate("[...document.querySelectorAll('main h1, main h2, main h3')].map((e) => +e.tagName[1])")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_names_of_plugins_are_text_also_when_they_are_hovered(view, tmp_path):
    hostile = report_documents.HOSTILE
    document = report_documents.document(("ddim",), (3,), n=2, shape=(1, 8, 8))
    document["entries"][0] |= {"name": hostile, "recipe": hostile}
    document["metrics"][0]["title"] = document["schedules"][0]["name"] = document["verdict"] = hostile
    document["class_names"] = [hostile] * 10
    file = tmp_path / "hostile.html"
    file.write_text(make_page(document, np.zeros((1, 2, 1, 8, 8))), encoding="utf-8")
    look(view, file.as_uri())
    point = view.evaluate("""(() => { const e = document.querySelector('[data-chart=law] .mark-symbol path');
        e.scrollIntoView({block: 'center', behavior: 'instant'}); const box = e.getBoundingClientRect();
        return [box.x + box.width / 2, box.y + box.height / 2]; })()""")
    for aside in (3, 2, 1, 0):
        view.call("Input.dispatchMouseEvent", type="mouseMoved", x=point[0] + aside, y=point[1])
    view.wait("document.querySelector('#vg-tooltip-element.visible') !== null", 30)
    assert hostile[:20] in text(view, "#vg-tooltip-element")
    assert view.evaluate("document.querySelectorAll('img, main script').length") == 0
    assert view.evaluate("document.title") == " ".join(hostile.split())
    assert hostile in view.evaluate("document.querySelector('#grid .name').textContent")
    assert view.complaints == []
    assert asked(view) == [file.as_uri()]


@pytest.mark.parametrize("shape", [(3, 6, 10), (2,)], ids=str)
def test_without_traces_and_of_any_shape(view, tmp_path, shape):
    document = report_documents.document(("ddim", "unipc"), (3,), n=4, shape=shape)
    images = np.random.default_rng(0).uniform(-1, 1, (2, 4, *shape)).astype(np.float32)
    file = tmp_path / "report.html"
    file.write_text(make_page(document, images), encoding="utf-8")
    look(view, file.as_uri())
    if len(shape) == 1:
        assert view.evaluate("document.querySelectorAll('[data-chart=samples] svg').length") == 1
        assert view.evaluate("document.getElementById('grid')") is None
    else:
        assert view.evaluate("document.getElementById('step').disabled && document.getElementById('play').disabled")
        values = view.evaluate(TILE.format(row=1, image=3))
        shown = np.moveaxis(np.reshape(values, (*shape[1:], 4))[..., : shape[0]], -1, 0) / 127.5 - 1
        assert np.abs(shown - images[1, 3]).max() < 1 / 250
    assert view.complaints == []
