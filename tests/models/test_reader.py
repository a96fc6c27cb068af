"""A reader is what its decorator makes of a function."""

import numpy as np

import dtool
from dtool.models.description import UNDESCRIBED
from dtool.models.origin import Origin
from dtool.models.reader import Reader, reader
from dtool.models.runtime import ANYWHERE


@reader("doubles", recognises=lambda source: source == "double", summary="twice its input")
def doubles(source, description, runtime):
    """A network that doubles.

    Always.
    """
    return dtool.network(lambda x, t: 2 * x, shape=(2,))


def test_the_decorator_makes_a_reader():
    assert isinstance(doubles, Reader)
    assert (doubles.name, doubles.summary, doubles.origin) == ("doubles", "twice its input", None)
    assert doubles.doc == "A network that doubles.\n\nAlways."
    assert doubles.recognises("double")
    assert not doubles.recognises("single")
    network = doubles.open("double", UNDESCRIBED, ANYWHERE)
    assert network.predict(np.ones((1, 2)), np.zeros(1)).tolist() == [[2, 2]]


def test_a_function_without_a_docstring_has_no_text():
    assert reader("plain", recognises=bool)(lambda *of: None).doc == ""


def test_readers_are_told_apart_by_what_they_do_and_not_by_who_offers_them():
    assert reader("a", recognises=bool)(len) == reader("a", recognises=bool)(len)
    assert "lambda" not in repr(doubles)


def test_what_a_reader_finds_out_lies_on_the_network():
    network = dtool.network(lambda x, t: x, shape=(2,))
    assert network.origin is None
    network.origin = Origin(reader="doubles", what="two numbers", recipe="ddim", steps=50)
    assert (network.origin.differences, network.origin.assumptions) == ((), ())
