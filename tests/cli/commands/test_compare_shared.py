"""`dtool compare --workers`, `--into` and `--part` as a user types them."""

import json
import sys

import pytest

from tests.support.commandline import ran

WORDS = ("compare", "gmm:d=2", "ddim", "ddpm", "--steps", "3", "-n", "70", "--no-solver", "--metrics", "energy")


@pytest.fixture(autouse=True)
def in_a_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def test_the_same_bytes_from_one_process_and_from_two_parts(capsys, monkeypatch, tmp_path):
    def run(*more):
        words = [*WORDS, *map(str, more)]
        monkeypatch.setattr(sys, "argv", ["dtool", *words])
        return ran(capsys, *words)

    assert run("--workers", 1, "-o", "one.json", "-o", "one.html", "-q").code == 0
    first = run("--part", "1/2", "--into", "blocks", "-o", "two.json", "-o", "two.html")
    assert first.code == 0
    assert "part 1/2 is done. blocks: 2 of 4 blocks are not there yet" in first.err
    assert not (tmp_path / "two.json").exists()
    assert run("--part=2/2", "--into", "blocks", "-o", "two.json", "--output", "two.html").code == 0
    for kind in ("json", "html"):
        assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes(), kind
    document = json.loads((tmp_path / "two.json").read_text())
    assert document["made"] == ""
    assert document["command"] == "dtool " + " ".join(WORDS)
    assert document["entries"][0]["seconds"] is None
    assert not list(tmp_path.glob(".*.parts"))


def test_the_folder_of_another_comparison_is_refused(capsys):
    assert ran(capsys, *WORDS, "--into", "blocks", "-o", "a.json").code == 0
    result = ran(capsys, *WORDS, "--seed", 1, "--into", "blocks", "-o", "b.json")
    assert result.code == 1
    assert "blocks holds the blocks of another comparison: seed 0 there, 1 here" in result.err
    assert "--into" in result.err


def test_a_limit_on_what_is_not_timed_is_refused(capsys):
    result = ran(capsys, *WORDS, "--workers", 1, "--fail-if", "seconds>1", "-o", "a.json")
    assert result.code == 2
    assert "nothing is timed where the work is shared" in result.err


def test_the_table_has_no_times(capsys):
    result = ran(capsys, *WORDS, "--workers", 1, "-o", "a.json", "-q")
    assert "nan" not in result.out
