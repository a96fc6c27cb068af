"""Runs that begin at an image: the law of the start, what is known exactly, the ends of strength, and the batch."""

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from dtool.plan.reference import run_plan
from dtool.run.noise import normals

SHAPE = (1, 4, 4)
RECIPES = ["ddim", "ddpm", "ddim:eta=0.5", "heun", "dpmpp-2m/karras", "dpmpp-2m-sde", "dpmpp-2s-ancestral"]


def predict(x, t):
    return x * (0.3 + 0.0003 * t.reshape(-1, 1, 1, 1))


@pytest.fixture
def network():
    return dtool.network(predict, shape=SHAPE, clip=False)


@pytest.fixture
def image():
    return np.random.default_rng(0).uniform(-1, 1, (3, *SHAPE)).astype(np.float32)


@pytest.fixture
def mask():
    drawn = np.zeros(SHAPE[1:], bool)
    drawn[:, :2] = True
    return drawn


def trace_starts(network, image, strength, **options):
    run = dtool.sample(network, "ddim", steps=10, image=image, strength=strength, trace=True, **options)
    return run.trace.x[0], run.plan


def test_the_start_is_the_image_with_the_run_s_own_noise(network, image):
    start, plan = trace_starts(network, image, 0.4, seed=7)
    z = normals(7, np.arange(3, dtype=np.uint64), 0, SHAPE)[0]
    assert plan.steps == 4
    np.testing.assert_allclose(start, plan.alpha[0] * image + plan.sigma[0] * z, atol=1e-6)


def test_the_start_has_the_law_of_its_level(network, image):
    start, plan = trace_starts(network, image[0], 0.6, n=2000)
    error = (start - plan.alpha[0] * image[0]) / plan.sigma[0]
    assert abs(error.mean()) < 4 / np.sqrt(error.size)
    assert abs(error.var() - 1) < 4 * np.sqrt(2 / error.size)


@pytest.mark.parametrize("recipe", RECIPES)
def test_strength_1_is_a_usual_run_and_0_the_image(network, image, recipe):
    usual = dtool.sample(network, recipe, steps=5, n=3, seed=2)
    full = dtool.sample(network, recipe, steps=5, seed=2, image=image, strength=1)
    assert np.array_equal(full.x0, usual.x0)
    none = dtool.sample(network, recipe, steps=5, seed=2, image=image, strength=0)
    assert np.array_equal(none.x0, image)
    assert none.calls == none.evaluations == 0


@pytest.mark.parametrize("strength", [0.5, 1])
@pytest.mark.parametrize("recipe", [*RECIPES, "ddpm/repaint:jump_length=2,jump_n=2"])
def test_what_is_known_is_in_the_result_exactly_and_the_rest_is_not(network, image, mask, recipe, strength):
    run = dtool.sample(network, recipe, steps=8, image=image, mask=mask, strength=strength)
    assert np.array_equal(run.x0[..., 2:], image[..., 2:])
    assert (run.x0[..., :2] != image[..., :2]).all()


@pytest.mark.parametrize("recipe", ["ddim", "ddpm", "dpmpp-2m/karras", "heun"])
def test_what_is_known_is_at_its_level_on_the_way(network, image, mask, recipe):
    run = dtool.sample(network, recipe, steps=6, image=image, mask=mask, trace=True)
    plan, ids = run.plan, np.arange(3, dtype=np.uint64)
    draws = normals(0, ids, 0, SHAPE, plan.rows + 1)
    last = 0
    for row in range(plan.rows):
        if row in plan.step_starts:
            level = plan.alpha[row] * image + plan.sigma[row] * draws[last]
            state = run.trace.x[list(plan.step_starts).index(row)]
            np.testing.assert_allclose(state[..., 2:], level[..., 2:], atol=2e-6)
        last = row + 1 if plan.c[row] else last


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_late_start_is_what_the_plain_reading_of_its_plan_gives(network, image, recipe):
    run = dtool.sample(network, recipe, steps=8, image=image, strength=0.5, seed=4)
    plan = run.plan
    draws = normals(4, np.arange(3, dtype=np.uint64), 0, SHAPE, plan.rows + 1).astype(np.float64)
    start = plan.alpha[0] * image + plan.sigma[0] * draws[0]
    expected = run_plan(plan, lambda x, t: predict(x, np.full(3, t)), start, lambda row: draws[row + 1])
    np.testing.assert_allclose(run.x0, expected, atol=1e-5)


@pytest.mark.parametrize("recipe", ["ddim", "ddpm", "dpmpp-2m/karras"])
def test_an_image_does_not_depend_on_its_batch(network, image, mask, recipe):
    whole = dtool.sample(network, recipe, steps=6, image=image, mask=mask, strength=0.5, batch_size=3).x0
    for i in range(3):
        one = dtool.sample(network, recipe, steps=6, image=image[i], mask=mask, strength=0.5, ids=[i]).x0
        assert np.array_equal(one[0], whole[i])


def test_variations_of_one_image_have_its_ids_noise(network, image):
    several = dtool.sample(network, "ddim", steps=6, image=image[0], strength=0.5, n=4).x0
    assert len(np.unique(several.round(5), axis=0)) == 4
    third = dtool.sample(network, "ddim", steps=6, image=image[0], strength=0.5, ids=[2]).x0
    assert np.array_equal(third[0], several[2])


def test_bytes_are_brought_to_the_network_s_range(network):
    pixels = np.array([0, 255] * 8, np.uint8).reshape(SHAPE)
    run = dtool.sample(network, "ddim", steps=4, image=pixels, strength=0)
    assert np.unique(run.x0).tolist() == [-1.0, 1.0]


def test_a_plan_of_several_steps_is_made_again_with_its_guidance(network, image):
    plan = dtool.plan("dpmpp-2m/karras", steps=10, network=network)
    run = dtool.sample(network, plan, image=image, strength=0.5)
    assert run.plan == dtool.plan("dpmpp-2m/karras", steps=10, network=network, strength=0.5)


def test_a_plan_that_cannot_be_made_again_is_refused(network, image):
    plan = dtool.plan("dpmpp-2m", points=[900, 500, 100, 50], network=network)
    with pytest.raises(UsageError, match="its recipe makes another plan") as error:
        dtool.sample(network, plan, image=image, strength=0.5)
    assert "strength=" in error.value.hint


def test_pytorch_agrees(image, mask):
    pytest.importorskip("torch")
    module = dtool.network(predict, shape=SHAPE, clip=False)
    import torch

    from dtool.run.torch_backend import TorchNetwork

    other = TorchNetwork(predict, module.spec)
    for recipe in ("ddim", "ddpm"):
        options = {"steps": 6, "image": image, "mask": mask, "strength": 0.5}
        np.testing.assert_allclose(
            dtool.sample(other, recipe, **options).x0, dtool.sample(module, recipe, **options).x0, atol=1e-5
        )
    tensor = torch.from_numpy(image)
    assert np.array_equal(
        dtool.sample(other, "ddim", steps=6, image=tensor, strength=0.5).x0,
        dtool.sample(other, "ddim", steps=6, image=image, strength=0.5).x0,
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image": np.zeros((1, 5, 4))}, "image has shape"),
        ({"image": np.zeros((3, 4, 4))}, "image has shape"),
        ({"image": np.zeros((2, *SHAPE)), "n": 3}, "image has shape"),
        ({"image": np.full(SHAPE, 3.0)}, "image holds numbers from 3 to 3"),
        ({"image": np.full(SHAPE, np.nan)}, "not finite"),
        ({"image": np.zeros(SHAPE, np.int64)}, "image is of type int64"),
        ({"image": np.zeros(SHAPE), "mask": np.zeros((4, 4))}, "mask is empty"),
        ({"image": np.zeros(SHAPE), "mask": np.ones((4, 4))}, "mask is full"),
        ({"image": np.zeros(SHAPE), "mask": np.ones((5, 4))}, "mask has shape"),
        ({"image": np.zeros(SHAPE), "mask": np.full((4, 4), 2.0)}, "outside 0 … 1"),
        ({"mask": np.ones((4, 4))}, "mask is given without an image"),
        ({"strength": 0.5}, "strength is given without an image"),
        ({"image": np.zeros(SHAPE), "strength": 1.2}, "is not between 0 and 1"),
        ({"image": np.zeros(SHAPE), "strength": 0.01}, "is none of them"),
        ({"image": np.zeros(SHAPE), "x": np.zeros((1, *SHAPE))}, "x is your own"),
        ({"image": np.zeros(SHAPE), "strength": 0.0, "trace": True}, "has no trace"),
    ],
)
def test_what_does_not_fit_is_refused_before_the_network_is_called(options, message):
    def never(x, t):
        raise AssertionError("called")

    network = dtool.network(never, shape=SHAPE)
    network.mixes = False
    with pytest.raises(UsageError, match=message) as error:
        dtool.sample(network, "ddim", steps=6, **options)
    assert error.value.hint
