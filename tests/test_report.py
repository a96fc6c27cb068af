"""dtool.report: what the page holds, without a browser. tests/test_report_browser.py opens it."""

import base64
import copy
import hashlib
import html.parser
import io
import json
import re
import sys
from importlib import resources

import numpy as np
import pytest
from PIL import Image

import dtool
from dtool.errors import UsageError

alt = pytest.importorskip("altair")
pytest.importorskip("jinja2")

import report_documents  # noqa: E402

from dtool.backends.batches import Trace  # noqa: E402
from dtool.compare.run import SOLVED  # noqa: E402
from dtool.report import charts, earlier, figures, page, pictures, quality, table  # noqa: E402
from dtool.report.values import number, plain, script_hash, script_json, seconds  # noqa: E402

HOSTILE = report_documents.HOSTILE


class Elements(html.parser.HTMLParser):
    """The page as a browser's parser sees it: elements with their attributes, and the text of scripts."""

    def __init__(self, text):
        super().__init__()
        self.found, self.scripts, self.text, self.inside = [], [], [], None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self.inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside == "script":
            self.scripts[-1] += data
        elif self.inside != "style":
            self.text.append(data)


def images_like(document, k=3, seed=0, shape=None):
    random = np.random.default_rng(seed)
    return random.uniform(-1, 1, (len(document["entries"]), k, *(shape or document["shape"]))).astype(np.float32)


def traces_like(document, images, seed=1):
    random = np.random.default_rng(seed)
    found = []
    for entry, final in zip(document["entries"], images, strict=True):
        x = random.normal(size=(entry["steps"] + 1, *final.shape)).astype(np.float32)
        x[-1] = final
        found.append({"x": x, "x0": random.uniform(-1, 1, (entry["steps"], *final.shape)).astype(np.float32)})
    return found


def small(recipes=("ddpm", "ddim"), steps=(3, 5), **more):
    return report_documents.document(recipes, steps, n=4, shape=(1, 8, 8), **more)


def data_of(text):
    return json.loads(Elements(text).scripts[0])


def pixels_of(uri):
    head, _, body = uri.partition(",")
    assert head in ("data:image/webp;base64", "data:image/png;base64")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body))).convert("RGB")).astype(float)


@pytest.fixture(scope="module")
def made():
    document = small()
    images = images_like(document)
    traces = traces_like(document, images)
    return document, images, traces, page(document, images, traces)


def test_one_file_that_asks_for_nothing(made):
    elements = Elements(made[-1])
    for tag, attributes in elements.found:
        assert tag not in {"iframe", "object", "embed", "base", "form"}
        for name in ("src", "href", "srcset", "action", "poster", "xlink:href"):
            value = attributes.get(name, "#")
            assert value.startswith(("#", "data:")), (tag, value)
        assert not any(name.startswith("on") for name in attributes), "handlers in attributes"
    styles = made[-1].partition("<style>")[2].partition("</style>")[0]
    assert "@import" not in styles
    assert "url(" not in styles
    assert "sourceMappingURL" not in made[-1]


def test_the_policy_allows_these_scripts_and_no_network(made):
    elements = Elements(made[-1])
    (policy,) = [a["content"] for _, a in elements.found if a.get("http-equiv") == "Content-Security-Policy"]
    allowed = re.search("script-src ([^;]*)", policy)[1].split()
    executed = elements.scripts[1:]
    assert allowed == [script_hash(script) for script in executed]
    assert len(executed) == 4
    assert policy.startswith("default-src 'none';")
    assert "unsafe-eval" not in policy
    assert "connect-src" not in policy
    assert script_hash("x") == f"'sha256-{base64.b64encode(hashlib.sha256(b'x').digest()).decode()}'"


def test_names_are_text_wherever_they_stand(made):
    plain_tags = [tag for tag, _ in Elements(made[-1]).found]
    document = small()
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
    images = images_like(document)
    text = page(document, images, traces_like(document, images))
    elements = Elements(text)
    assert [tag for tag, _ in elements.found if tag == "time"] == ["time"]
    assert {*(tag for tag, _ in elements.found)} == {*plain_tags}
    assert [tag for tag, _ in elements.found].count("script") == 5
    assert not any("onerror" in attributes for _, attributes in elements.found)
    assert HOSTILE in "".join(elements.text)
    assert json.loads(elements.scripts[0])["document"]["verdict"] == HOSTILE


@pytest.mark.parametrize("seed", range(3))
def test_what_is_not_finite_is_null_and_left_out(seed):
    document = small(seed=seed)
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
    text = page(document, images_like(document))
    found = json.loads(Elements(text).scripts[0], parse_constant=lambda name: pytest.fail(f"{name} in the JSON"))
    assert found["document"]["rmse"][0][1] is None
    assert "nan" not in re.sub("[a-z]*nan[a-z]+|[a-z]+nan", "", "".join(Elements(text).text).lower())


def test_one_entry_without_anything_measured():
    document = {"format": 2, "entries": [{"name": "ddim", "recipe": "ddim", "steps": 3}]}
    text = page(document, np.zeros((1, 2, 1, 4, 4)))
    said = " ".join(" ".join(Elements(text).text).split())
    for reason in ("No verdict was reached", "No converged solution was computed",
                   "There were no data to measure against", "The time was not split",
                   "The run has no schedule's curve", "The steps were not kept",
                   "None: every recipe is the package's own"):  # fmt: skip
        assert reason in said
    charts_of = data_of(text)["charts"]
    assert charts_of["solver"]["options"] == charts_of["law"]["options"] == []
    assert "How far the recipes are" not in said


def test_the_two_errors_never_share_a_chart(made):
    document = made[0]
    for chart, names in (
        (figures.solver(document), {"rmse", "psnr"}),
        (figures.law(document), {"mmd", "fd", "coverage"}),
    ):
        assert {option["key"] for option in chart["options"]} == names
        for option in chart["options"]:
            for cost, spec in option["specs"].items():
                rows = spec["datasets"]["rows"]
                costs = {(e["name"], e[cost]) for e in document["entries"]}
                assert {(row["name"], row["x"]) for row in rows} <= costs
    solver = figures.solver(document)
    assert [label for label, _ in solver["missing"]] == ["ddpm · 3", "ddpm · 5"]
    assert all(row["name"] == "ddim" for row in solver["options"][0]["specs"]["calls"]["datasets"]["rows"])


def test_what_cannot_be_judged_is_not_drawn():
    document = small(("ddim", "unipc"))
    document["entries"][1]["solver"]["judged"] = False
    found = figures.solver(document)
    assert len(found["options"][0]["specs"]["calls"]["datasets"]["rows"]) == 3
    assert [label for label, _ in found["missing"]] == ["ddim · 5"]
    (rmse,) = [column for column in table.columns(document) if column.key == "solver_rmse"]
    assert rmse.cell(document["entries"][1]).notes == ("cannot be judged",)


@pytest.mark.parametrize("better", ["lower", "higher"])
@pytest.mark.parametrize("seed", range(20))
def test_the_front_is_what_nothing_beats(seed, better):
    """By definition: a row is on the front if no other costs no more, is no worse, and is better in one of them."""
    random = np.random.default_rng(seed)
    rows = [
        {"x": int(x), "value": float(v)} for x, v in zip(random.integers(1, 6, 12), random.normal(size=12), strict=True)
    ]
    sign = 1 if better == "lower" else -1

    def beats(a, b):
        no_worse = a["x"] <= b["x"] and sign * a["value"] <= sign * b["value"]
        return no_worse and (a["x"] < b["x"] or sign * a["value"] < sign * b["value"])

    expected = {i for i, row in enumerate(rows) if not any(beats(other, row) for other in rows)}
    kept = quality.front(rows, better)
    assert {*kept} == expected
    assert [rows[i]["x"] for i in kept] == sorted(rows[i]["x"] for i in kept)


def test_every_specification_fits_vega_lite(made):
    document = made[0]
    parts = [*figures.solver(document)["options"], *figures.law(document)["options"]]
    specs = [spec for option in parts for spec in option["specs"].values()]
    assert len(specs) == 2 * 5
    specs = [specs[-1]]  # the others differ in their data and titles
    schedules = figures.schedules(document)
    assert (len(schedules["specs"]), len(schedules["strips"])) == (3, 2)
    specs += [schedules["specs"]["beta"], schedules["strips"]["log_snr"], figures.timing(document)["spec"]]
    specs += [figures.not_pictures(document, images_like(document, shape=shape))["spec"] for shape in [(2,), (9,)]]
    assert len(specs) == 6
    for spec in specs:
        kind = alt.FacetChart if "facet" in spec else alt.LayerChart if "layer" in spec else alt.Chart
        kind.from_dict(spec).to_dict(validate=True)
        assert "http" not in json.dumps(spec)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 6, 10), (5, 7)], ids=str)
def test_the_pictures_are_the_samples(shape):
    document = report_documents.document(("ddim", "ddpm"), (3, 6), n=4, shape=shape)
    document["data_range"] = [0.0, 2.0]
    images = 1 + images_like(document)
    traces = traces_like(document, images)
    traces[2] = None
    found = data_of(page(document, images, traces))["pictures"]
    height, width = shape[-2:]
    assert (found["width"], found["height"], found["count"], found["frames"]) == (width, height, 3, 7)
    for row, final, trace in zip(found["rows"], images, traces, strict=True):
        sheet = pixels_of(row["x"] or row["final"])
        frames = len(row["at"])
        assert sheet.shape == (3 * height, frames * width, 3)
        assert row["at"] == ([0] if trace is None else [*range(row["steps"] + 1)])
        colour = np.broadcast_to(final.reshape(3, -1, height, width), (3, 3, height, width))
        for i in range(3):
            tile = sheet[i * height : (i + 1) * height, (frames - 1) * width :]
            assert np.abs(tile - 255 * np.moveaxis(colour[i], 0, -1) / 2).max() <= 0.51
        if trace is not None:
            guess = np.broadcast_to(trace["x0"][1, 2].reshape(-1, height, width), (3, height, width))
            tile = pixels_of(row["x0"])[2 * height :, width : 2 * width]
            expected = 255 * np.moveaxis(guess, 0, -1).clip(0, 2) / 2
            assert np.abs(tile - expected).max() <= 0.51 * 255 / (pictures.LEVELS["x0"][0] - 1) + 0.5


def test_a_trace_is_a_mapping_or_an_object_and_may_hold_more_images(made):
    document, images, traces, text = made
    more = [Trace(*(np.concatenate([part, part], axis=1) for part in trace.values())) for trace in traces]
    assert data_of(page(document, images, more))["pictures"] == data_of(text)["pictures"]


def test_states_that_are_not_finite_or_explode_can_be_seen():
    document = small(("ddim",), (5,))
    images = images_like(document)
    (trace,) = traces_like(document, images)
    trace["x"][0] *= 80
    trace["x"][1, 0, 0, 0, 0] = np.nan
    sheet = pixels_of(data_of(page(document, images, [trace]))["pictures"]["rows"][0]["x"])
    first = sheet[:, :8]
    assert ((first > 10) & (first < 245)).mean() > 0.25, "scaled into the range, not cut off at its ends"
    assert abs(sheet[0, 8] - 127.5).max() < 255 / (pictures.LEVELS["x"][0] - 1)


@pytest.mark.parametrize("seed", range(5))
def test_what_is_shown_fits_the_budget(seed):
    random = np.random.default_rng(seed)
    for _ in range(50):
        rows, images, frames = (int(random.integers(1, end)) for end in (30, 100, 1001))
        shape = (int(random.choice([1, 3])), *(int(side) for side in random.integers(1, 1025, 2)))
        fits = pictures.room(rows, images, frames, shape, budget=2_000_000)
        size = np.prod([shape[0], *(-(-side // fits.shrink) for side in shape[1:])])
        assert 1 <= fits.images <= min(images, pictures.IMAGES)
        assert 0 <= fits.frames <= min(frames, pictures.FRAMES)
        assert rows * fits.images * (2 * fits.frames + 1) * size <= 2_000_000 or (fits.images, fits.frames) == (1, 0)
    assert pictures.chosen(1001, 21) == [*range(0, 1001, 50)]
    assert pictures.chosen(5, 21) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("side", [129, 256, 300])
def test_large_images_are_averaged(side):
    random = np.random.default_rng(side)
    values = random.normal(size=(2, 3, side, side + 1))
    small_one = pictures._small(values, 3)
    assert small_one.shape == (2, 3, -(-side // 3), -(-(side + 1) // 3))
    assert np.allclose(small_one[..., 5, 7], values[..., 15:18, 21:24].mean(axis=(-2, -1)))
    assert np.allclose(small_one[..., -1, 0], values[..., 3 * ((side - 1) // 3) :, :3].mean(axis=(-2, -1)))


def test_the_size_that_can_be_mailed():
    """n = 16, six recipes, 20 steps of 28 x 28, from the package's network: below 3 MB."""
    (run,), images, (trace,) = report_documents.samples(("ddpm",), (20,))
    assert run.x0.shape == (16, 1, 28, 28)
    text = page(report_documents.document(steps=(20,)), images.repeat(6, axis=0), [trace] * 6)
    assert data_of(text)["pictures"]["frames"] == 21
    assert len(text.encode()) < 3_000_000


@pytest.mark.parametrize(("shape", "marks"), [((1,), "circle"), ((2,), "circle"), ((16,), "line")], ids=str)
def test_samples_that_are_no_pictures(shape, marks):
    document = report_documents.document(("ddim", "ddpm"), (3,), n=4, shape=shape)
    found = data_of(page(document, images_like(document, k=50)))
    assert found["pictures"] is None
    spec = found["charts"]["samples"]["spec"]
    assert spec["spec"]["mark"]["type"] == marks
    rows = spec["datasets"]["rows"]
    assert len(rows) == 2 * (50 if marks == "circle" else 8 * 16)


def test_samples_that_cannot_be_drawn_are_explained():
    document = report_documents.document(("ddim",), (3,), n=4, shape=(4, 32, 32))
    text = page(document, images_like(document))
    assert "A sample of shape 4 × 32 × 32 is no picture." in text


def test_the_table_and_its_export_have_every_figure(made):
    document = made[0]
    shown = table.columns(document)
    flat = table.exported(document, shown)
    for entry, row in zip(document["entries"], flat["rows"], strict=True):
        found = dict(zip(flat["names"], row, strict=True))
        assert len(found) == len(row), "names are unique"
        for key in ("name", "recipe", "steps", "calls", "plan", "seconds", "seconds_low", "images_per_second"):
            assert found[key] == entry[key]
        for name, figure in entry["figures"].items():
            assert [found[name], found[f"{name}_low"], found[f"{name}_p"]] == [
                figure["value"],
                figure["low"],
                figure["p"],
            ]
        assert found["timing_rule"] == entry["timing"]["rule"]
        assert found["solver_rmse"] == (entry["solver"] or {}).get("rmse")


def test_a_baseline_is_shown_beside_what_is_now():
    document = small()
    before = copy.deepcopy(document["entries"])
    for entry in before:
        entry["seconds"] *= 2
    before[0]["recipe"] = "other"
    document["baseline"] = {"made": "2026-11-20T08:00:00", "n": 4, "seed": 0, "entries": before}
    rows = earlier.compared(document)
    assert [row.label for row in rows] == ["ddpm · 5", "ddim · 3", "ddim · 5"]
    for row in rows:
        changes = {change.title: change.percent for change in row.changes}
        assert changes["Seconds"] == pytest.approx(-50)
        assert changes["MMD² (RBF)"] == 0
        assert "Coverage" not in changes, "which is no headline"
    text = page(document, images_like(document))
    assert "Against an earlier run" in text
    document["entries"][1]["name"] = "called otherwise"
    assert len(earlier.compared(document)) == 3, "it is the recipe that counts"
    document["baseline"]["entries"] = []
    assert "no recipe in common" in page(document, images_like(document))


@pytest.mark.parametrize(
    ("then", "low", "now", "better", "percent", "said"),
    [
        (-0.0003, -0.001, 0.0006, "lower", None, "+0.00090, worse"),
        (-0.0003, -0.001, -0.0001, "lower", None, "+0.00020, worse"),
        (0.0006, -0.001, 0.0003, "lower", None, "−0.00030, better"),
        (0.2, 0.1, -0.1, "lower", None, "−0.30, better"),
        (0.2, 0.1, 0.1, "lower", -50, "−50\u00a0%, better"),
        (0.2, 0.1, 0.1, "higher", -50, "−50\u00a0%, worse"),
        (0.2, 0.1, 0.3, "higher", 50, "+50\u00a0%, better"),
        (0.2, None, 0.3, "lower", 50, "+50\u00a0%, worse"),
        (0.2, 0.1, 0.2, "lower", 0, "the same"),
        (0.0, 0.0, 0.2, "lower", None, "+0.20, worse"),
        (None, None, 0.2, "lower", None, ""),
    ],
)
def test_a_change_is_in_per_cent_only_of_what_is_surely_above_zero(then, low, now, better, percent, said):
    document = small(("ddim",), (3,))
    (entry,) = document["entries"]
    before = copy.deepcopy(entry)
    before["figures"]["mmd"] = {"value": then, "low": low, "high": then}
    entry["figures"]["mmd"] = {"value": now, "low": now, "high": now}
    document["metrics"][0]["better"] = better
    document["baseline"] = {"made": "", "n": 4, "seed": 0, "entries": [before]}
    changes = {change.title: change for change in earlier.compared(document)[0].changes}
    if then is None:
        assert "MMD² (RBF)" not in changes
        return
    change = changes["MMD² (RBF)"]
    assert change.percent == (None if percent is None else pytest.approx(percent))
    assert change.said == said
    assert said in page(document, images_like(document))


def test_a_change_from_another_number_of_images_is_none():
    document = small(("ddim",), (3,))
    document["baseline"] = {"n": 5, "entries": copy.deepcopy(document["entries"])}
    changes = {change.title: change.said for change in earlier.compared(document)[0].changes}
    assert changes == dict.fromkeys(changes, "of 5 and of 4 images")
    assert "Fréchet distance, pixels" in changes


def test_what_bars_bands_and_points_are_is_said_rightly(made):
    said = " ".join("".join(Elements(made[-1]).text).split())
    assert "a bar across goes from the fastest to the slowest of the timed rounds" in said
    assert "under seconds are the fastest and the slowest of the timed rounds" in said
    assert "cannot be told from data by this metric" in said
    assert "a point is the β of the whole step from one level to the next" in said
    assert "of the first" not in said
    document = report_documents.document(("ddim",), (3,), n=100, shape=(1, 8, 8))
    document["machine"]["load"] = 5.1103515625
    text = " ".join("".join(Elements(page(document, images_like(document))).text).split())
    assert f"of the first {SOLVED} of 100 images" in text
    assert "5.11" in text
    assert "5.1103515625" not in text.partition('{"document"')[0]


@pytest.mark.parametrize("ends", [None, "value"])
def test_a_figure_without_an_interval_has_no_bar(ends):
    document = small(("ddim",), (3,))
    figure = document["entries"][0]["figures"]["mmd"]
    figure["low"] = figure["high"] = ends and figure[ends]
    (row,) = figures.law(document)["options"][0]["specs"]["calls"]["datasets"]["rows"]
    assert row["low"] == row["high"] == row["value"]
    assert row["interval"] == "none"
    (mmd,) = [column for column in table.columns(document) if column.key == "metric:mmd"]
    assert mmd.cell(document["entries"][0]).notes[0] == ""


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


def test_altairs_vega_lite_is_no_newer_than_the_vendored_one():
    notice = resources.files("dtool.report").joinpath("vendor", "NOTICE").read_text(encoding="utf-8")
    vendored = [int(part) for part in re.search(r"vega-lite +(\d+)\.(\d+)\.", notice).groups()]
    needed = [int(part) for part in alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2]]
    assert needed[0] == vendored[0]
    assert needed <= vendored


@pytest.mark.parametrize("missing", ["altair", "jinja2"])
def test_without_the_extra_it_says_what_to_install(monkeypatch, missing, made):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(dtool.DtoolError, match="needs Altair and Jinja2") as raised:
        page(*made[:2])
    assert raised.value.hint == "pip install 'dtool-diffusion[report]'"


def test_a_wrong_document_is_refused(made):
    document, images, *_ = made
    with pytest.raises(UsageError, match="of format 1"):
        page(document | {"format": 1}, images)
    with pytest.raises(UsageError, match="no entries"):
        page(document | {"entries": []}, images)
    with pytest.raises(UsageError, match="not those of 4 entries"):
        page(document, images[:3])


def test_the_document_is_not_changed(made):
    document, images, traces, _ = made
    before = copy.deepcopy(document)
    page(document, images, traces)
    assert document == before


def test_numbers_as_a_reader_wants_them():
    values = [0, 3, -2.0, 0.12345, 1234.5, 1e-7, -1.5e9, None, float("nan"), True]
    said = ["0", "3", "−2", "0.123", "1234", "1.00e−07", "−1.50e+09", "–", "–", "–"]
    assert [number(value) for value in values] == said
    assert [seconds(value) for value in (3.21e-5, 0.0123, 2.5, 600)] == ["32.1 µs", "12.3 ms", "2.50 s", "10 min"]
    assert plain({1: (np.float32(2), np.array([np.inf, 1])), "a": object}) == {
        "1": [2.0, [None, 1.0]],
        "a": str(object),
    }
    assert script_json("</script>&\u2028") == r'"\u003c/script\u003e\u0026\u2028"'


def test_two_entries_of_the_same_name_have_labels_of_their_own():
    entries = [{"name": "ddim", "steps": 5}] * 3 + [{"name": "ddpm", "steps": 5}]
    assert charts.labels(entries) == ["ddim · 5", "ddim · 5 #2", "ddim · 5 #3", "ddpm · 5"]
    assert charts.colours(entries) == [0, 0, 0, 1]
