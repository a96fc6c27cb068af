"""Conditions and prompts of a run: who is told what, the same bits in any batch, and what is refused."""

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError, UsageError
from dtool.models.text import TextEncoder
from dtool.run.guided_conditions import Request, check_prompts, resolve_conditions
from dtool.run.numpy_backend import FunctionNetwork
from tests.support.conditional_networks import BIAS, PLAN, START, TEXT, effect, make_network, sample_by_hand


@pytest.mark.parametrize("length", [5, 3])
@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_an_image_has_the_same_bits_in_any_batch(guidance, length):
    network, _ = make_network(TEXT, BIAS)
    random = np.random.default_rng(4)
    text, other, bias = (random.standard_normal((7, *shape)) for shape in ((5, 2), (length, 2), (2,)))
    more = {} if guidance == 1 else {"guidance": guidance}

    def draw(ids):
        told = {"text": text[ids], "bias": bias[ids]}
        without = {"without": {"text": other[ids]}} if more else {}
        return dtool.sample(network, "ddpm", steps=4, ids=ids, conditions=told, **without, **more).x0

    whole = draw(list(range(7)))
    for ids in ([3], [6, 0], [5, 4, 3, 2, 1], [0, 0, 6]):
        np.testing.assert_array_equal(draw(ids), whole[ids])
    assert len({each.tobytes() for each in whole}) == 7


class Letters(TextEncoder):
    """A text as so many tokens as it has letters, and one for its end."""

    names = ("text",)

    def __init__(self):
        self.encoded = []

    def encode(self, texts):
        self.encoded += texts
        length = max(map(len, texts)) + 1
        array = np.zeros((len(texts), length, 2), np.float32)
        for row, text in zip(array, texts, strict=True):
            row[: len(text)] = [[ord(letter) / 100, 1] for letter in text] or np.zeros((0, 2))
        return {"text": array}


def make_prompted(**fields):
    network, seen = make_network(TEXT, **fields)
    network.text = Letters()
    return network, seen


def test_prompts_are_encoded_once_each_and_told_to_their_images():
    network, _ = make_prompted()
    pair, labels, scale = resolve_conditions(network, Request(prompt=["ab", "c", "ab"]), None, 3)
    assert (labels, scale, pair.without) == (None, 1.0, None)
    assert network.text.encoded == ["ab", "c"]
    np.testing.assert_array_equal(pair.given["text"][0], pair.given["text"][2])
    np.testing.assert_array_equal(pair.given["text"], Letters().encode(["ab", "c", "ab"])["text"])


@pytest.mark.parametrize(("negative", "compared"), [(None, ""), ("no", "no"), (["n", "o", "n"], None)])
def test_guidance_compares_with_the_empty_text_or_what_is_said(negative, compared):
    network, _ = make_prompted()
    found = dtool.sample(network, PLAN, x=START, prompt="abc", negative=negative, guidance=2).x0
    texts = negative if compared is None else [compared] * 3
    null, full = (effect(Letters().encode(each)["text"]) for each in (texts, ["abc"] * 3))
    np.testing.assert_allclose(found, sample_by_hand(null, full, 2, PLAN), rtol=0, atol=1e-6)


def test_prompts_say_how_many_images_there_are():
    network, _ = make_prompted()
    assert dtool.sample(network, "ddim", steps=2, prompt=["a", "b"]).x0.shape == (2, 2)
    assert dtool.sample(network, "ddim", steps=2, prompt=["a", "b"], n=2).x0.shape == (2, 2)
    assert dtool.sample(network, "ddim", steps=2, prompt="a", n=3).x0.shape == (3, 2)


def test_no_prompt_is_the_empty_one():
    network, _ = make_prompted()
    one = dtool.sample(network, PLAN, x=START).x0
    np.testing.assert_array_equal(one, dtool.sample(network, PLAN, x=START, prompt="").x0)


def test_arrays_in_the_place_of_prompts_ask_no_encoder():
    network, _ = make_prompted()
    dtool.sample(network, PLAN, x=START, conditions={"text": np.ones((4, 2))})
    assert network.text.encoded == []


REFUSED = [
    ({"prompt": "a"}, "this network takes no prompt: it has no text encoder",
     "give what it is told as arrays, --condition NAME=FILE.npy (conditions=)"),
    ({"negative": "a", "guidance": 2}, "this network takes no prompt: it has no text encoder",
     "give what it is told as arrays, --condition NAME=FILE.npy (conditions=)"),
    ({"conditions": {"texd": 1}}, "the network takes no condition 'texd'", "did you mean text?"),
    ({"without": {"texd": 1}, "guidance": 2}, "the network takes no condition 'texd'", "did you mean text?"),
    ({"without": {"text": np.ones((1, 2))}}, "what to compare with is given, but no guidance",
     "give --guidance (guidance=)"),
    ({"guidance": -1}, "guidance -1 is no scale", "use 0 or more; 1 is none"),
    ({"guidance": float("nan")}, "guidance nan is no scale", "use 0 or more; 1 is none"),
    ({"guidance": float("inf")}, "guidance inf is no scale", "use 0 or more; 1 is none"),
    ({"labels": 1}, "this network is not conditional", "leave out the classes"),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "cause", "hint"), REFUSED, ids=lambda each: str(each)[:40])
def test_what_is_refused(request_, cause, hint):
    network, seen = make_network(TEXT)
    with pytest.raises(UsageError) as error:
        dtool.sample(network, PLAN, x=START, **request_)
    assert (str(error.value), error.value.hint) == (cause, hint)
    assert not seen


@pytest.mark.parametrize(("request_", "cause", "hint"), [
    ({"prompt": "a", "conditions": {"text": np.ones((1, 2))}}, "text is given, and a prompt that makes it too",
     "give one of them"),
    ({"prompt": ["a", "b"]}, "2 prompts for 3 images", "give one for all, or one each"),
    ({"prompt": "a", "negative": "b"}, "what to compare with is given, but no guidance", "give --guidance (guidance=)"),
    ({"prompt": "a", "negative": ["b"] * 4, "guidance": 2}, "4 prompts for 3 images", "give one for all, or one each"),
], ids=lambda each: str(each)[:40])  # fmt: skip
def test_what_is_refused_of_a_network_with_prompts(request_, cause, hint):
    network, seen = make_prompted()
    with pytest.raises(UsageError) as error:
        dtool.sample(network, PLAN, x=START, **request_)
    assert (str(error.value), error.value.hint) == (cause, hint)
    assert not seen


def test_a_network_without_conditions_takes_none():
    network = dtool.network(lambda x, t: 0 * x, shape=(2,))
    for request_, cause in (
        ({"conditions": {"text": 1}}, "the network takes no condition 'text'"),
        ({"without": {"text": 1}}, "the network takes no condition 'text'"),
        ({"guidance": 2}, "guidance needs a conditional network"),
        ({"prompt": "a"}, "this network takes no prompt: it has no text encoder"),
        ({"negative": "a"}, "this network takes no prompt: it has no text encoder"),
    ):
        with pytest.raises(UsageError) as error:
            dtool.sample(network, PLAN, x=START, **request_)
        assert str(error.value) == cause


def test_a_network_that_knows_no_null_value_has_no_guidance_unless_it_is_told_one():
    network, _ = make_network(BIAS)
    with pytest.raises(UsageError, match=r"^guidance compares with no condition, and this network was not trained"):
        dtool.sample(network, PLAN, x=START, conditions={"bias": [1, 2]}, guidance=2)
    dtool.sample(network, PLAN, x=START, conditions={"bias": [1, 2]}, without={"bias": [0, 0]}, guidance=2)


def test_prompts_are_texts():
    assert check_prompts("a", 2) == ["a", "a"]
    assert check_prompts(["a"], 2) == ["a", "a"]
    with pytest.raises(UsageError, match=r"^prompt=\['a', 3\] is not text"):
        check_prompts(["a", 3], 2)
    with pytest.raises(UsageError, match=r"^prompt=\[\] is not text"):
        check_prompts([], 2)


def test_a_class_table_without_a_row_for_no_class_keeps_the_class_in_guidance():
    """The network does not say whether a label means no class; a text is there to compare with."""
    torch = pytest.importorskip("torch")

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Embedding(3, 2)

        def forward(self, x, t, label, text):
            return 0.2 * x + self.table(label) + text.mean(dim=1)

    torch.manual_seed(0)
    network = dtool.network(Module(), shape=(2,), classes=3, conditions=[TEXT])
    x, text = START.astype(np.float32), np.ones((5, 2), np.float32)
    found = dtool.sample(network, PLAN, x=x, labels=[0, 1, 2], conditions={"text": text}, guidance=2).x0
    table = network.module.table.weight.detach().numpy()
    wanted = sample_by_hand(table[[0, 1, 2]], table[[0, 1, 2]] + 1, 2, PLAN)
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=2e-6)  # numbers near 0 have float32's error of others


def test_a_module_is_told_its_conditions_by_name_in_its_own_precision():
    torch = pytest.importorskip("torch")
    seen = {}

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(2, 2).double()

        def forward(self, x, t, label, *, text, mask):
            seen.update(label=label.dtype, text=text.dtype, mask=mask.dtype, x=x.dtype, t=t.dtype)
            return (self.layer(x) + text.mean(dim=1),)

    mask = {"name": "mask", "shape": (), "dtype": "bool"}
    network = dtool.network(Module(), shape=(2,), classes=2, conditions=[TEXT, mask])
    out = dtool.sample(network, "ddim", steps=2, n=3, conditions={"text": np.ones((4, 2)), "mask": True})
    assert out.x0.dtype == np.float32
    wanted = {"label": torch.int64, "text": torch.float64, "mask": torch.bool, "x": torch.float64, "t": torch.float64}
    assert seen == wanted


def test_a_tensor_start_keeps_the_conditions_and_the_prompts():
    torch = pytest.importorskip("torch")
    network, _ = make_network(TEXT)

    def fn(x, t, text):
        return 0.2 * x + 0.1 * (text**2).mean(1)

    network = dtool.network(fn, shape=(2,), conditions=[TEXT])
    network.text = Letters()
    numpy_net = FunctionNetwork(fn, network.spec)
    numpy_net.text = Letters()
    found = dtool.sample(network, PLAN, x=torch.from_numpy(START), prompt="ab", guidance=2).x0
    wanted = dtool.sample(numpy_net, PLAN, x=START, prompt="ab", guidance=2).x0
    np.testing.assert_allclose(found.numpy(), wanted, rtol=0, atol=1e-6)


def test_a_function_that_knows_no_such_argument_is_at_fault():
    network = dtool.network(lambda x, t: x, shape=(2,), conditions=[TEXT])
    with pytest.raises(DtoolError, match=r"the network's own code failed \(TypeError: .*unexpected keyword argument"):
        dtool.sample(network, PLAN, x=START, conditions={"text": np.ones((5, 2))})


class SizedWords(TextEncoder):
    """A text's length, and a bias that is the same for every text."""

    names, constants = ("text", "bias"), ("bias",)

    def encode(self, texts):
        text = np.array([[[len(text), 1.0]] for text in texts], np.float32)
        return {"text": text, "bias": np.full((len(texts), 2), 0.5, np.float32)}


def test_what_is_the_same_for_every_prompt_may_be_given_beside_one():
    network, _ = make_network({"name": "text", "shape": (None, 2)}, BIAS)
    network.text = SizedWords()
    usual, _, _ = resolve_conditions(network, Request(prompt="ab", guidance=3.0), None, 2)
    assert usual.given["bias"].tolist() == usual.without["bias"].tolist() == [[0.5, 0.5]] * 2
    request = Request(prompt="ab", guidance=3.0, conditions={"bias": [1.0, 2.0]})
    own, _, _ = resolve_conditions(network, request, None, 2)
    assert own.given["bias"].tolist() == own.without["bias"].tolist() == [[1.0, 2.0]] * 2
    assert own.without["text"].tolist() == [[[0.0, 1.0]]] * 2
    apart = Request(prompt="ab", guidance=3.0, conditions={"bias": [1.0, 2.0]}, without={"bias": [0.0, 0.0]})
    assert resolve_conditions(network, apart, None, 1)[0].without["bias"].tolist() == [[0.0, 0.0]]
    with pytest.raises(UsageError, match="text is given, and a prompt that makes it too"):
        resolve_conditions(network, Request(prompt="ab", conditions={"text": [[1.0, 1.0]]}), None, 1)
