"""Captions belong to pictures, one or more to each, and what is missing or wrong is said before any work."""

import numpy as np
import pytest

from dtool.data.captions import Captions, read_captions
from dtool.errors import DtoolError
from tests.support.captioned_pictures import write_pictures, write_table


@pytest.fixture
def place(tmp_path):
    """A folder of six pictures; their captions."""
    return tmp_path, write_pictures(tmp_path / "squares", 6)


def texts_of(captions, i):
    return [captions.texts[k] for k in captions.places[i, : captions.counts[i]]]


def test_captions_come_in_the_order_of_the_pictures_each_text_once(place):
    folder, rows = place
    rows = [*rows[::-1], (rows[0][0], "another one"), (rows[1][0], rows[0][1])]
    found = read_captions(str(write_table(folder / "c.csv", rows)), str(folder / "squares"))
    names = sorted({file for file, _ in rows})
    assert len(found) == 6
    assert len(set(found.texts)) == len(found.texts)
    for i, name in enumerate(names):
        assert texts_of(found, i) == [text for file, text in rows if file == name]


def test_a_name_that_is_nowhere_is_looked_for_beside_the_pictures(place):
    folder, rows = place
    write_table(folder / "squares" / "beside.csv", rows)
    assert len(read_captions("beside.csv", str(folder / "squares"))) == 6


def test_text_files_beside_the_pictures_have_a_caption_a_line(place):
    folder, rows = place
    for file, text in rows:
        (folder / "squares" / file).with_suffix(".txt").write_text(f"{text}\n\n also {text} \n", encoding="utf-8")
    found = read_captions(str(folder / "squares"), str(folder / "squares"))
    first = min(rows)[1]
    assert texts_of(found, 0) == [first, f"also {first}"]


def test_captions_are_picked_with_their_pictures():
    captions = Captions.of([["a", "b"], ["c"], ["a"]])
    assert texts_of(captions.pick(np.array([2, 0])), 1) == ["a", "b"]
    assert captions.fingerprint() != captions.pick(np.array([2, 0, 1])).fingerprint()
    assert captions.fingerprint() != Captions.of([["a", "b"], ["c"], ["d"]]).fingerprint()


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "has the columns of none"),
        ("file,caption\n", "holds no captions"),
        ("name,caption\nx.png,a\n", "has the columns name, caption"),
        ("file,caption\nnone.png,a\n", "1 files that are no pictures in"),
        ("file,caption\neven/0.png\n", "line 2: the row is too short"),
        ("file,caption\neven/0.png, \n", "line 2: even/0.png has an empty caption"),
        (
            "file,caption\neven/0.png,a\n",
            "5 of 6 pictures have no caption: even/2.png, even/4.png, odd/1.png and 2",
        ),
        (f"file,caption\neven/0.png,{'a' * 10_001}\n", "a caption of 10001 letters"),
        ('file,caption\neven/0.png,"a\n', "no CSV"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_with_the_cause(place, text, cause):
    folder, _ = place
    (folder / "c.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DtoolError) as caught:
        read_captions(str(folder / "c.csv"), str(folder / "squares"))
    assert cause in str(caught.value)
    assert caught.value.hint


def test_what_is_no_text_and_what_is_not_there_is_refused(place):
    folder, _ = place
    (folder / "c.csv").write_bytes(b"\xff\xfe\x00")
    for source, pictures, cause in (
        (folder / "c.csv", folder / "squares", "cannot be read"),
        (folder / "none.csv", folder / "squares", "there is no file"),
        (folder / "c.csv", folder / "c.csv", "is no folder"),
    ):
        with pytest.raises(DtoolError, match=cause):
            read_captions(str(source), str(pictures))
