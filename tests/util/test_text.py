"""Text of strangers is shown on one line, and not obeyed."""

import json

import pytest

from dtool.util.text import escape_controls, escape_json, get_first_line, safe_str, to_line


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("plain λ α² é 日本", "plain λ α² é 日本"),
        ("\x1b[31m\x07\x7f\x85\x9b", r"\x1b[31m\x07\x7f\x85\x9b"),
        ("\u202eabc\u2066\u2028\ufeff\u200b", r"\u202eabc\u2066\u2028\ufeff\u200b"),
        ("a\nb\tc", r"a\x0ab\x09c"),
        ("\udcff", r"\udcff"),
        ("\U000e0041", r"\U000e0041"),
        ("👩\u200d🚀 می\u200cخواهم", "👩\u200d🚀 می\u200cخواهم"),
    ],
)
def test_text_is_shown_not_obeyed(given, wanted):
    assert escape_controls(given) == wanted
    assert json.loads(escape_json(json.dumps(given, ensure_ascii=False))) == given
    assert escape_json(json.dumps(given, ensure_ascii=False)).isprintable() or "\u200d" in given


def test_text_of_anything():
    class Odd:
        def __str__(self):
            raise RuntimeError

    assert safe_str(Odd()) == to_line(Odd()) == "<Odd>"
    assert to_line("a\n b\x1b") == r"a b\x1b"
    assert escape_controls("a\nb", keep="\n") == "a\nb"


def test_the_first_line_of_an_error():
    assert get_first_line(ValueError("\n  no such operator\nat line 3 of ours")) == "no such operator"
    assert get_first_line(ValueError("x" * 200)) == "x" * 160
    assert get_first_line(ValueError("x" * 200), 10) == "x" * 10
    assert get_first_line(KeyError()) == "KeyError"
