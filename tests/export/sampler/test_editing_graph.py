"""A sampler's file whose run may begin at an image: what the host's loop does, from the file's inputs alone."""

from __future__ import annotations

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError

pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
from tests.support.sampler_files import both, closeness, write_decoder  # noqa: E402
from tests.support.small_networks import write  # noqa: E402

SHAPE, STEPS = (2, 4, 4), 8
EDITS = ("image", "mask", "strength")
RECIPES = [
    "ddim", "ddpm", "heun", "dpmpp-2m/karras", "dpmpp-2m-sde", "unipc:order=3", "dpmpp-2s-ancestral", "dpmpp-3m",
    "ddpm/repaint:jump_length=2,jump_n=2", "ddim~3@-1.3:0.3", "dpmpp-2m~cfgpp:scale=0.6", "deis",
]  # fmt: skip
STRENGTHS = (0, 0.13, 0.5, 0.99, 1)


@pytest.fixture
def image():
    return np.random.default_rng(0).uniform(-1, 1, (3, *SHAPE)).astype(np.float32)


@pytest.fixture
def mask():
    drawn = np.zeros((3, 1, *SHAPE[1:]), np.float32)
    drawn[0, :, :, :2] = drawn[1, :, 1:] = drawn[2, :, ::2] = 1
    return drawn


def export(folder, recipe, inputs=EDITS, **options):
    return both(
        folder, recipe, steps=STEPS, shape=SHAPE, classes=3, guidance=1.5, options={"inputs": inputs}, **options
    )


@pytest.mark.parametrize(("recipe", "clip"), [(recipe, i % 2 == 0) for i, recipe in enumerate(RECIPES)])
def test_the_file_does_what_the_host_does(recipe, clip, image, mask, tmp_path):
    """At every strength, clipped or not, with a mask and without: the file chooses its rows by itself."""
    host, fused = export(tmp_path, recipe, clip=clip, inputs=("seed", *EDITS))
    assert fused.has_fixed_plan
    for strength in STRENGTHS:
        for drawn in (None, mask):
            edit = {"image": image, "strength": strength, "mask": drawn, "seed": 5}
            one, other = (dtool.sample(net, fused.plan, **edit) for net in (host, fused))
            assert closeness(one.x0, other.x0) < 1e-5
            assert (one.calls, one.evaluations) == (other.calls, other.evaluations)
            if drawn is not None:
                assert ((other.x0 == image) | (drawn == 1)).all()
        if strength == 0:
            assert np.array_equal(other.x0, image)
    usual = dtool.sample(fused, n=3, seed=5).x0
    assert np.array_equal(dtool.sample(fused, image=image, strength=1, seed=5).x0, usual)


@pytest.mark.parametrize("recipe", ["ddpm", "dpmpp-2m"])
def test_without_an_image_the_bits_are_those_of_a_file_that_takes_none(recipe, tmp_path):
    _, fused = export(tmp_path, recipe)
    edited = dtool.sample(fused, n=3, seed=2).x0
    _, plain = export(tmp_path, recipe, inputs=None)
    assert edited.tobytes() == dtool.sample(plain, n=3, seed=2).x0.tobytes()


def test_named_alone_they_have_defaults_and_so_has_all_else(image, mask, tmp_path):
    host, fused = export(tmp_path, "dpmpp-2m")
    session = ort.InferenceSession(tmp_path / "app.onnx")
    assert [one.name for one in session.get_inputs()] == ["ids", "label"]
    feed = {"ids": np.arange(3, dtype=np.uint64), "label": np.arange(3)}

    def run(**given):
        return session.run(["images"], feed | {name: np.asarray(array, np.float32) for name, array in given.items()})[0]

    for given in ({"image": image[:1]}, {"image": image[:1], "mask": mask[:1]}):  # one for all, at the usual strength
        want = dtool.sample(host, fused.plan, n=3, **{name: array[0] for name, array in given.items()}).x0
        assert closeness(run(**given), want) < 1e-5
    assert np.array_equal(run(image=image, strength=0), image)
    assert np.array_equal(run(strength=0.5), run())
    soft = np.where(mask == 1, 0.5, 0.49)
    assert np.array_equal(run(image=image, mask=soft), run(image=image, mask=mask))
    trace = dtool.sample(fused, image=image, strength=0.5, trace=True).trace
    want = dtool.sample(host, fused.plan, image=image, strength=0.5, trace=True).trace
    assert closeness(want.x, trace.x) < 1e-5
    other = dtool.sample(fused, "heun", steps=3, image=image, strength=0.7, mask=mask)
    assert closeness(dtool.sample(host, "heun", steps=3, image=image, strength=0.7, mask=mask).x0, other.x0) < 1e-5


@pytest.mark.parametrize("given", [{"mask": 1}, {"image": 2}, {"image": 3, "mask": 2}])
def test_the_run_stops_at_a_mask_without_an_image_and_at_a_wrong_number(given, image, mask, tmp_path):
    export(tmp_path, "ddim")
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(tmp_path / "app.onnx", options)
    arrays = {"image": image, "mask": mask}
    feed = {"ids": np.arange(3, dtype=np.uint64), "label": np.arange(3)}
    with pytest.raises(Exception, match="there is one entry for all images or one each"):
        session.run(["images"], feed | {name: arrays[name][:count] for name, count in given.items()})


def test_beside_others_they_must_be_given(image, mask, tmp_path):
    host, fused = export(tmp_path, "ddpm", inputs=("seed", "mask", "image", "strength"))
    session = ort.InferenceSession(tmp_path / "app.onnx")
    assert {"image", "mask", "strength", "seed"} < {one.name for one in session.get_inputs()}
    feed = {"ids": np.arange(3, dtype=np.uint64), "label": np.arange(3), "seed": np.asarray(np.uint64(4))}
    none = {"image": image[:0], "mask": mask[:0], "strength": np.asarray(np.float32(-1))}
    [usual] = session.run(["images"], feed | none)
    assert closeness(dtool.sample(host, fused.plan, n=3, seed=4).x0, usual) < 1e-5
    assert np.array_equal(dtool.sample(fused, n=3, seed=4).x0, usual)
    [filled] = session.run(["images"], feed | none | {"image": image, "mask": mask})
    assert closeness(dtool.sample(host, fused.plan, seed=4, image=image, mask=mask).x0, filled) < 1e-5


def test_an_edit_does_not_depend_on_its_batch(image, mask, tmp_path):
    _, fused = export(tmp_path, "ddpm")
    whole = dtool.sample(fused, image=image, mask=mask, labels=1).x0
    for i in range(3):
        alone = dtool.sample(fused, image=image[i], mask=mask[i], ids=[i], labels=1).x0
        assert np.array_equal(alone[0], whole[i])


@pytest.mark.parametrize(
    ("inputs", "edit", "says"),
    [
        (None, {}, "begins at noise, and takes no image"),
        (("seed",), {}, "begins at noise, and takes no image"),
        (("image",), {"mask": np.eye(4)}, "takes no mask"),
        (("image", "mask"), {"strength": 0.5}, "takes no strength"),
        (("image", "seed"), {"plan": "ddim"}, "runs its own plan alone: ddpm, 8 steps"),
        (EDITS, {"mask": np.stack([np.eye(4), 1 - np.eye(4)])}, "has one channel"),
    ],
)
def test_what_the_file_does_not_take_is_refused(inputs, edit, says, image, tmp_path):
    _, fused = export(tmp_path, "ddpm", inputs=inputs)
    options = {"plan": "ddpm", "steps": STEPS, "image": image} | edit
    with pytest.raises(UsageError, match=says):
        dtool.sample(fused, options.pop("plan"), **options)


def test_a_file_of_images_alone_is_used_at_the_usual_strength(image, tmp_path):
    host, fused = export(tmp_path, "dpmpp-2m", inputs=("seed", "image"))
    one, other = (dtool.sample(net, fused.plan, image=image, seed=3).x0 for net in (host, fused))
    assert closeness(one, other) < 1e-5
    assert fused.form.edits == ("image",)


@pytest.mark.parametrize("decode", [True, False])
def test_latents_with_a_decoder_behind_the_loop(decode, image, mask, tmp_path):
    """What a run begins at is then a latent: there is no encoder in the file."""
    from dtool.export import BuiltIn

    write(tmp_path / "net.onnx", shape=(3, 4, 4), classes=3, guidance=1.5)
    write_decoder(tmp_path / "decoder.onnx", (3, 4, 4))
    words = BuiltIn(decoder=tmp_path / "decoder.onnx")
    net, path = tmp_path / "net.onnx", tmp_path / "app.onnx"
    dtool.export(net, path, plan="dpmpp-2m", steps=5, inputs=EDITS, decode=decode, built_in=words)
    host, fused = dtool.load(net), dtool.load(path, device="cpu")
    latent = np.random.default_rng(1).uniform(-1, 1, (3, 3, 4, 4)).astype(np.float32) * (3 if decode else 1)
    limits = (-3, 3) if decode else (-1, 1)
    host.spec = host.spec.model_copy(update={"data_range": limits})
    for edit in ({"strength": 0.6}, {"mask": mask}, {"strength": 0}):
        want, out = (dtool.sample(one, fused.plan, image=latent, **edit) for one in (host, fused))
        pictures = (2 * want.x0).clip(-1, 1) if decode else want.x0
        assert closeness(pictures, out.x0) < 1e-5
        assert out.calls == {0.6: 3, 0: 0}.get(edit.get("strength"), 5)
    assert fused.decodes == decode
    with pytest.raises(UsageError, match="takes no step, and has no trace"):
        dtool.sample(fused, image=latent, strength=0, trace=True)


def test_conditions_and_what_guidance_compares_with_stay_what_they_are(tmp_path):
    pytest.importorskip("torch")
    from tests.support.attending_networks import SHAPE as WIDE
    from tests.support.attending_networks import TEXT, make_attending

    module, spec = make_attending(TEXT, clip=True, guidance=3.0)
    dtool.export((module, spec), tmp_path / "app.onnx", plan="dpmpp-2m", steps=5, inputs=EDITS, check=False)
    host, fused = dtool.load(module, spec=spec, device="cpu"), dtool.load(tmp_path / "app.onnx", device="cpu")
    latent, random = np.random.default_rng(1).uniform(-1, 1, (2, *WIDE)).astype(np.float32), np.random.default_rng(2)
    drawn = np.zeros((1, *WIDE[1:]), np.float32)
    drawn[:, :2] = 1
    text, without = random.standard_normal((2, 2, 5, 8)).astype(np.float32)
    told = {"conditions": {"text": text}, "without": {"text": without}, "guidance": 2.0}
    for edit in ({"strength": 0.6}, {"mask": drawn}):
        want, out = (dtool.sample(one, fused.plan, image=latent, **edit, **told) for one in (host, fused))
        assert np.abs(np.asarray(want.x0) - out.x0).max() < 1e-5
