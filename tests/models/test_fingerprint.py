"""A network is known by its file and what is said of it, or by its answers."""

import pytest

from dtool.errors import DtoolError
from dtool.models.fingerprint import identify
from tests.support.commandline import network


def test_a_network_without_a_file_is_known_by_its_answers():
    assert identify([network()]) == identify([network()])
    assert len({identify([network()]), identify([network(classes=2)]), identify([network(guidance=2.0)])}) == 3


def test_a_network_in_a_file_is_known_by_its_content(tmp_path):
    one, other, folder = tmp_path / "a.pt", tmp_path / "b.pt", tmp_path / "c"
    folder.mkdir()
    for path, content in ((one, b"0"), (other, b"0"), (folder / "x", b"0")):
        path.write_bytes(content)
    net = network()
    known = [identify([net], [path]) for path in (one, other, folder)]
    assert known[0] == known[1] != known[2]
    one.write_bytes(b"1")
    (folder / "x").rename(folder / "y")
    assert identify([net], [one]) != known[0]
    assert identify([net], [folder]) != known[2]
    assert identify([network(guidance=2.0)], [other]) != known[1]


def test_a_file_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    path = tmp_path / "a.pt"
    path.write_bytes(b"0")
    monkeypatch.setattr(type(path), "open", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    with pytest.raises(DtoolError, match=r"cannot read .*a\.pt: Permission denied"):
        identify([network()], [path])
