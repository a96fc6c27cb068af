"""What the networks' configs say: shapes, classes, learned variance, conditions; and what is refused."""

import pytest

from dtool.errors import DtoolError

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
from dtool.models.readers.diffusers_fields import describe_text_unet, describe_unet, is_refiner_alone  # noqa: E402
from tests.support import tiny_pipelines as tiny  # noqa: E402


def test_unet():
    fields = describe_unet(tiny.unet())
    assert (fields.shape, fields.classes, fields.learned_variance) == ((3, 8, 8), 0, False)


def test_learned_variance_and_sizes_that_differ():
    fields = describe_unet(tiny.unet(in_channels=1, out_channels=2, sample_size=(8, 16)))
    assert (fields.shape, fields.learned_variance) == ((1, 8, 16), True)


def test_size_unknown():
    assert describe_unet(tiny.unet(sample_size=None)).shape is None


def test_classes():
    fields = describe_unet(tiny.unet(num_class_embeds=10))
    assert (fields.classes, fields.null_class) == (10, False)
    assert "say classes= one less if the last means none" in fields.assumptions[0]


def test_conditions_of_text_networks():
    xl = tiny.text_unet(
        64, addition_embed_type="text_time", addition_time_embed_dim=8, projection_class_embeddings_input_dim=72
    )
    assert [(c.name, c.shape) for c in describe_text_unet(xl).conditions] == [
        ("text", (None, 64)), ("pooled", (24,)), ("time_ids", (6,)),
    ]  # fmt: skip
    scaled = describe_text_unet(tiny.text_unet(time_cond_proj_dim=16)).conditions
    assert [c.name for c in scaled] == ["text", "guidance_scale"]


@pytest.mark.parametrize(
    ("channels", "shapes"),
    [
        (9, {"mask": (1, 6, 8), "masked": (4, 6, 8)}),
        (8, {"image": (4, 6, 8)}),
        (7, {"image": (3, 6, 8)}),
        (5, {"depth": (1, 6, 8)}),
    ],
)
def test_images_in_the_input(channels, shapes):
    fields = describe_text_unet(tiny.text_unet(in_channels=channels, out_channels=4))
    assert (fields.shape, fields.channels, fields.images) == ((4, 8, 8), 4, tuple(shapes))
    fitted = {one.name: one.shape for one in fields.fit_conditions((4, 6, 8))}
    assert fitted == {"text": (None, 32), **shapes}
    told = {name: torch.ones(2, *shape) for name, shape in shapes.items()}
    x, t = torch.ones(2, 4, 6, 8), torch.ones(2)
    whole = torch.cat([x, *told.values()], dim=1)
    text = torch.zeros(2, 3, 32)
    with torch.no_grad():
        made, direct = fields.module(x, t, text=text, **told), fields.module.inner(whole, t, text)[0]
    torch.testing.assert_close(made, direct, rtol=0, atol=0)


def test_a_refiner_is_told_five_numbers():
    sizes = {"addition_embed_type": "text_time", "addition_time_embed_dim": 8}
    inner = tiny.text_unet(32, **sizes, projection_class_embeddings_input_dim=5 * 8 + 32)
    assert is_refiner_alone(inner)
    assert not is_refiner_alone(tiny.text_unet(64, **sizes, projection_class_embeddings_input_dim=6 * 8 + 24))
    assert not is_refiner_alone(tiny.text_unet(32))
    shapes = {one.name: one.shape for one in describe_text_unet(inner, 5).conditions}
    assert (shapes["time_ids"], shapes["pooled"]) == ((5,), (32,))


def test_another_image_in_a_picture_network():
    with pytest.raises(DtoolError, match="takes 6 channels and predicts 3: part of its input is another image"):
        describe_unet(tiny.unet(in_channels=6, out_channels=3))


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (lambda: tiny.text_unet(addition_embed_type="text"), "told more than a text (addition_embed_type='text')"),
        (lambda: tiny.text_unet(class_embed_type="timestep"), "class embedding is a 'timestep', and not a table"),
    ],
)
def test_refused(make, cause):
    with pytest.raises(DtoolError) as caught:
        describe_text_unet(make())
    assert cause in str(caught.value)
    assert "wrap it in a module" in caught.value.hint
