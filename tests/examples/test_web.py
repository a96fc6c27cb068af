"""examples/web in a headless browser: it draws what Python draws, asks nobody else, and says what is wrong."""

from __future__ import annotations

import json
import os
import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

import dtool
from dtool.models.spec import NetworkSpec
from dtool.plan.packed import pack

onnx = pytest.importorskip("onnx")
pytest.importorskip("fcntl", reason="the browser is driven through a pipe, as on Linux and macOS")
from tests.support.web_pages import DRAWN, ERROR, build_site, load_builder  # noqa: E402

RECIPES = ("dpmpp-2m/karras", "ddim", "euler-ancestral/karras")
STEPS = (2, 5, 8)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder that the build script makes."""
    return build_site(tmp_path_factory.mktemp("site"), recipes=RECIPES, steps=STEPS)


@pytest.fixture
def drawn(page, site, serve):
    """drawn(seed=…, steps=…): the numbers of the images that the page draws for these words of its address."""
    address, end = serve(site)

    def draw(**words):
        page.open(address + "?test=1&" + "&".join(f"{name}={word}" for name, word in words.items()))
        return json.loads(page.wait(f"({DRAWN}) || ({ERROR})"))

    return SimpleNamespace(at=draw, address=address, end=end)


def sampled(numbers, network=None):
    """The same images in Python, through ONNX Runtime."""
    made = dtool.sample(
        network or dtool.default_network("cpu"),
        numbers["recipe"],
        steps=numbers["steps"],
        seed=int(numbers["seed"]),
        ids=numbers["ids"],
        labels=numbers["labels"],
    )
    return made.x0


def difference(numbers, network=None):
    expected = sampled(numbers, network)
    assert expected.std() > 0.1
    return np.abs(np.reshape(numbers["images"], expected.shape) - expected).max()


@pytest.mark.parametrize(
    ("recipe", "steps", "seed", "chosen", "count"),
    [
        ("dpmpp-2m/karras", 8, 0, "all", 3),
        ("ddim", 2, 2**63 + 5, "7", 1),
        ("ddim", 5, 20261121, "4", 2),
        ("euler-ancestral/karras", 8, 2**64 - 1, "9", 2),
        ("euler-ancestral/karras", 5, 1, "all", 3),
    ],
)
def test_the_page_draws_what_python_draws(drawn, page, recipe, steps, seed, chosen, count):
    numbers = drawn.at(sampler=recipe, steps=steps, seed=seed, count=count, **{"class": chosen})
    labels = [k % 10 if chosen == "all" else int(chosen) for k in range(count)]
    assert (numbers["recipe"], numbers["steps"], numbers["seed"]) == (recipe, steps, str(seed))
    assert (numbers["ids"], numbers["labels"]) == (list(range(count)), labels)
    assert difference(numbers) < 1e-3
    assert page.complaints == []
    status = page.evaluate("document.getElementById('status').textContent")
    assert re.fullmatch(rf"{count} images? in \d+\.\d s: \d+ ms per image, {steps} network calls each\.", status)


def test_it_asks_nobody_else_and_goes_on_without_its_server(drawn, page):
    first = drawn.at(steps=5, count=1)
    assert len(page.requests) > 8, "the page, its parts, the file, its tables, the runtime"
    assert any(url.endswith(".wasm") for url in page.requests), "what the worker asks for is heard, too"
    assert [url for url in page.requests if not url.startswith(drawn.address)] == []
    drawn.end()
    page.requests.clear()
    page.evaluate("document.getElementById('seed').value = '77'; document.getElementById('draw').click()")
    second = json.loads(page.wait(DRAWN))
    assert second["seed"] == "77"
    assert first["images"] != second["images"]
    assert difference(second) < 1e-3
    assert (page.requests, page.complaints) == ([], [])


def test_a_pixel_is_one_number_and_enlarged_without_smoothing(drawn, page):
    numbers = drawn.at(steps=5, count=2)
    look = """[...document.querySelectorAll('canvas')].map((canvas) => ({
        pixels: [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data],
        size: [canvas.width, canvas.height, canvas.clientWidth, canvas.clientHeight],
        rendering: getComputedStyle(canvas).imageRendering }))"""
    for values, canvas in zip(numbers["images"], page.evaluate(look), strict=True):
        pixels = np.reshape(canvas["pixels"], (-1, 4))
        grey = np.clip(np.rint(255 * (np.array(values) + 1) / 2), 0, 255)
        assert np.abs(pixels[:, :3] - grey[:, None]).max() <= 1  # halves are rounded to even, or away from zero
        assert (pixels[:, 3] == 255).all()
        assert canvas["size"] == [28, 28, 140, 140]
        assert canvas["rendering"] == "pixelated"


def test_the_keyboard_is_enough(drawn, page):
    drawn.at(steps=5, count=1, seed=3)
    page.evaluate("document.activeElement.blur()")
    focused = "document.activeElement.id || document.activeElement.value"
    order = []
    for _ in range(7):
        page.press("Tab", 9)
        order.append(page.evaluate(focused))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle !== 'none'")
        if order[-1] == "all":
            page.press("ArrowRight", 39)
            page.press("ArrowRight", 39)
        if order[-1] == "seed":
            page.evaluate("document.activeElement.select()")
            page.type("4")
            page.press("Enter", 13, "\r")
        if order[-1] == "sampler":
            page.press("ArrowDown", 40)
        if order[-1] == "steps":
            page.press("ArrowRight", 39)
    assert order == ["all", "seed", "random", "count", "sampler", "steps", "draw"]
    numbers = json.loads(page.wait(DRAWN))
    assert (numbers["labels"], numbers["seed"], numbers["recipe"], numbers["steps"]) == ([1], "4", "ddim", 8)
    assert difference(numbers) < 1e-3
    assert "class=1" in page.evaluate("location.search"), "the address can be kept"


def test_everything_has_a_name_for_those_who_do_not_see_it(drawn, page):
    drawn.at(steps=5, count=2)
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    named = {}
    for node in nodes:
        if not node["ignored"]:
            named.setdefault(node["role"]["value"], []).append(node.get("name", {}).get("value", ""))
    assert named["radio"] == ["all", *"0123456789"]
    assert named["button"] == ["Random seed", "Draw", "Stop"]
    assert named["textbox"] == ["Seed", "Images"]
    assert (named["combobox"], named["group"]) == (["Sampler"], ["Class"])
    assert [name.split()[0] for name in named["slider"]] == ["Steps"]
    assert named["image"] == ["image 0, class 0", "image 1, class 1"]
    assert page.evaluate("document.getElementById('steps').getAttribute('aria-valuetext')") == "5 steps"
    assert page.evaluate("document.documentElement.lang") == "en"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_by_day_and_by_night(drawn, page, scheme):
    """WCAG 2: a contrast of 4.5 for text."""
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    drawn.at(steps=2, count=1)
    colours = page.evaluate("""(() => {
        const style = (selector) => getComputedStyle(document.querySelector(selector));
        const paper = style('body').backgroundColor, panel = style('form').backgroundColor;
        return [[style('h1').color, paper], [style('header p').color, paper], [style('#status').color, paper],
            [style('#error').color, paper], [style('.wrong').color, panel], [style('label').color, panel],
            [style('#draw').color, style('#draw').backgroundColor], [style('#images span').color, paper]];
    })()""")
    dark = scheme == "dark"
    assert (luminance(colours[0][1]) < 0.1) == dark
    for pair in colours:
        darker, lighter = sorted(luminance(colour) for colour in pair)
        assert (lighter + 0.05) / (darker + 0.05) > 4.5, pair


def luminance(colour):
    channels = np.array([int(part) for part in re.findall(r"\d+", colour)[:3]]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4) @ (
        0.2126,
        0.7152,
        0.0722,
    )


def test_a_wrong_field_says_so_and_nothing_is_drawn(drawn, page):
    drawn.at(steps=2, count=1)
    before = page.evaluate(DRAWN)
    seeds, counts = ["-1", str(2**64), "1.5", "", "9" * 30], ["0", "65", "ten", "1e1"]
    for field, text in [*(("seed", text) for text in seeds), *(("count", text) for text in counts)]:
        page.evaluate(f"document.getElementById('{field}').value = '{text}'; document.getElementById('draw').click()")
        said = page.evaluate(f"document.getElementById('{field}-error').textContent")
        assert said == f"A whole number, {'1 to 64' if field == 'count' else f'0 to {2**64 - 1}'}."
        assert page.evaluate(f"document.getElementById('{field}').getAttribute('aria-invalid')") == "true"
        assert page.evaluate(f"getComputedStyle(document.getElementById('{field}')).borderTopWidth") == "2px"
        assert page.evaluate(DRAWN) == before
    assert page.complaints == []


def test_a_long_run_is_stopped_and_another_begun(drawn, page):
    drawn.at(steps=5, count=1)
    page.evaluate("document.getElementById('count').value = 64; document.getElementById('draw').click()")
    page.wait("document.getElementById('progress').value >= 1")
    page.evaluate("document.getElementById('stop').click()")
    status = page.evaluate("document.getElementById('status').textContent")
    assert re.fullmatch(r"Stopped: \d+ of 64 images drawn\.", status)
    assert page.evaluate(DRAWN) is None
    page.evaluate("document.getElementById('count').value = 2; document.getElementById('draw').click()")
    numbers = json.loads(page.wait(DRAWN))
    assert len(numbers["images"]) == page.evaluate("document.querySelectorAll('canvas').length") == 2
    assert difference(numbers) < 1e-3


def network_of(shape, **said):
    """F(x, t) = tanh(x - t/1000) as a file that dtool.export takes, and its spec."""
    from dtool.export.metadata import describe

    value, make, kind = onnx.helper.make_tensor_value_info, onnx.helper.make_node, onnx.TensorProto.FLOAT
    numbers = {"scale": np.float32(0.001), "shape": np.array([-1, *[1] * len(shape)])}
    nodes = [make("Reshape", ["t", "shape"], ["column"]), make("Mul", ["column", "scale"], ["small"]),
             make("Sub", ["x", "small"], ["less"]), make("Tanh", ["less"], ["y"])]  # fmt: skip
    inputs = [value("x", kind, ["batch", *shape]), value("t", kind, ["batch"])]
    constants = [onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in numbers.items()]
    graph = onnx.helper.make_graph(nodes, "g", inputs, [value("y", kind, ["batch", *shape])], constants)
    proto = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    describe(proto, NetworkSpec(shape=shape, schedule="linear", **said))
    return proto


@pytest.fixture
def other(tmp_path, site):
    """A folder like the built one, whose files can be replaced."""
    folder = tmp_path / "other"
    shutil.copytree(site, folder, copy_function=os.link)
    for name in ("app.onnx", "plans.json"):
        (folder / name).unlink()
        shutil.copy(site / name, folder)
    return folder


def rebuilt(folder, network, recipes=RECIPES, steps=STEPS):
    onnx.save(network, folder / "network.onnx")
    options = {"plan": recipes[0], "steps": 5, "check": False, "inputs": load_builder().INPUTS, "micro_batch": 1}
    dtool.export(folder / "network.onnx", folder / "app.onnx", **options)
    made = load_builder().plans(folder / "app.onnx", recipes, steps)
    (folder / "plans.json").write_text(json.dumps(made), encoding="utf-8")


def test_colours_that_are_not_square_of_a_network_without_classes(page, other, serve):
    rebuilt(other, network_of((3, 6, 10), clip=True))
    page.open(serve(other)[0] + "?test=1&steps=5&count=2&sampler=euler-ancestral/karras")
    numbers = json.loads(page.wait(f"({DRAWN}) || ({ERROR})"))
    assert numbers["labels"] is None
    assert difference(numbers, dtool.load(other / "network.onnx", device="cpu")) < 1e-3
    pixels, *size = page.evaluate("""(() => { const canvas = document.querySelectorAll('canvas')[1];
        return [[...canvas.getContext('2d').getImageData(0, 0, 10, 6).data], canvas.width, canvas.height]; })()""")
    colours = np.moveaxis(np.reshape(pixels, (6, 10, 4))[..., :3], -1, 0)
    expected = 255 * (np.clip(numbers["images"][1], -1, 1).reshape(3, 6, 10) + 1) / 2
    assert np.abs(colours - expected).max() <= 0.51
    assert size == [10, 6]
    assert page.evaluate("document.getElementById('classes').hidden")
    assert page.complaints == []


def frozen(folder):
    dtool.export(None, folder / "app.onnx", plan="ddim", steps=5, check=False, freeze=True)


def with_defaults(folder):
    dtool.export(None, folder / "app.onnx", plan="ddim", steps=5, check=False)


def another(folder):
    """Of the same network and with the same inputs, but other bytes."""
    proto = onnx.load(folder / "app.onnx")
    del proto.metadata_props[:]
    onnx.save(proto, folder / "app.onnx")


def cut(folder, size=100_000):
    (folder / "app.onnx").write_bytes((folder / "app.onnx").read_bytes()[:size])


def without_plans(folder):
    (folder / "plans.json").unlink()


WRONG = [
    (lambda folder: (folder / "app.onnx").unlink(), "app.onnx is not beside this page. Build it: python build.py"),
    (without_plans, "plans.json is not beside this page. Build it: python build.py"),
    (cut, "app.onnx is not an ONNX file, or not a whole one. Build the page again."),
    (lambda folder: (folder / "app.onnx").write_text("<html>"), "app.onnx is not an ONNX file"),
    (another, "plans.json was not made for this app.onnx"),
    (lambda folder: onnx.save(network_of((1, 4, 4)), folder / "app.onnx"), "app.onnx takes x, t, and this page gives"),
    (frozen, "app.onnx takes ids, label, and this page gives ids, seed, table"),
    (with_defaults, "app.onnx takes ids, label, and this page gives ids, seed, table, times, init. Build it"),
    (lambda folder: rebuilt(folder, network_of((7,), clip=True)), "the file makes arrays of 7"),
    (lambda folder: (folder / "worker.js").unlink(), "The part that computes did not start"),
    (lambda folder: (folder / "ort" / "ort-wasm-simd-threaded.wasm").unlink(), "onnxruntime-web: "),
]


@pytest.mark.parametrize(("harm", "words"), WRONG, ids=[words for _, words in WRONG])
def test_a_wrong_folder_is_named(page, other, serve, harm, words):
    harm(other)
    page.open(serve(other)[0])
    assert words in page.wait(ERROR)
    assert page.evaluate("document.getElementById('draw').disabled && document.getElementById('stop').disabled")


def test_tables_of_another_file_are_refused(page, other, serve):
    plans = json.loads((other / "plans.json").read_text(encoding="utf-8"))
    plan = plans["samplers"][0]["plans"][0]
    plan["table"] += plan["times"]  # one column more
    (other / "plans.json").write_text(json.dumps(plans), encoding="utf-8")
    page.open(serve(other)[0])
    assert "plans.json was not made for this app.onnx" in page.wait(ERROR)


def test_numbers_that_are_not_finite_are_an_error_and_not_a_picture(page, other, serve):
    plans = json.loads((other / "plans.json").read_text(encoding="utf-8"))
    plans["samplers"][0]["plans"][0]["init"] = 3e38
    (other / "plans.json").write_text(json.dumps(plans), encoding="utf-8")
    page.open(serve(other)[0] + "?steps=2")
    assert "not finite" in page.wait(ERROR)


def test_opened_as_a_file_it_says_to_serve_it(page, site):
    page.open((site / "index.html").as_uri())
    assert "python -m http.server" in page.wait(ERROR)


@pytest.mark.parametrize(("package", "named"), [("RUNTIME", "onnxruntime-web"), ("TOKENIZERS", "@huggingface/tok")])
def test_a_build_without_npm_or_with_another_package_is_refused(monkeypatch, tmp_path, site, package, named):
    made = load_builder()
    package = getattr(made, package)._replace(integrity="sha512-of-something-else")
    with pytest.raises(dtool.DtoolError, match=rf"{named}.* \d+\.\d+\.\d+ is not what it was"):
        made.fetch(package, tmp_path)
    assert [*tmp_path.iterdir()] == []
    monkeypatch.setattr(made.shutil, "which", lambda name: None)
    with pytest.raises(dtool.DtoolError, match=f"npm is needed to get {named}"):
        made.fetch(package, tmp_path)


def test_the_tables_are_float32_to_the_last_bit(site):
    network = dtool.load(site / "app.onnx", device="cpu")
    plans = json.loads((site / "plans.json").read_text(encoding="utf-8"))
    assert [sampler["recipe"] for sampler in plans["samplers"]] == list(RECIPES)
    for sampler in plans["samplers"]:
        assert [plan["steps"] for plan in sampler["plans"]] == list(STEPS)
        for plan in sampler["plans"]:
            exact = dtool.plan(sampler["recipe"], steps=plan["steps"], network=network)
            packed = pack(exact, network.spec.clip, network.form.room)
            assert np.array_equal(np.float32(plan["table"]).reshape(packed.table.shape), packed.table)
            assert np.array_equal(np.float32(plan["times"]), packed.times)
            assert np.float32(plan["init"]) == packed.init
