"""Numbers as text, and values as JSON."""

import numpy as np

from dtool.report.values import encode_script_json, format_number, format_seconds, to_plain


def test_numbers_as_a_reader_wants_them():
    values = [0, 3, -2.0, 0.12345, 1234.5, 1e-7, -1.5e9, None, float("nan"), True]
    texts = ["0", "3", "−2", "0.123", "1234", "1.00e−07", "−1.50e+09", "–", "–", "–"]
    assert [format_number(value) for value in values] == texts
    assert [format_seconds(value) for value in (3.21e-5, 0.0123, 2.5, 600)] == [
        "32.1 µs",
        "12.3 ms",
        "2.50 s",
        "10 min",
    ]
    assert to_plain({1: (np.float32(2), np.array([np.inf, 1])), "a": object}) == {
        "1": [2.0, [None, 1.0]],
        "a": str(object),
    }
    assert encode_script_json("</script>&\u2028") == r'"\u003c/script\u003e\u0026\u2028"'
