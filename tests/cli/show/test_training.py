"""What is shown of a training where there is no terminal."""

from types import SimpleNamespace

import pytest

from dtool.cli.show import training


def step(number, loss=0.5):
    return SimpleNamespace(step=number, loss=loss, rate=8.0, seconds_per_step=3.0)


def test_lines_now_and_then_and_at_the_end(capsys, monkeypatch):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(training.time, "monotonic", lambda: clock.now)
    with training.show_training(1000, 0) as show:
        for number, seconds in ((1, 1), (2, 2), (3, 40), (4, 41), (1000, 42)):
            clock.now = 100.0 + seconds
            show(step(number))
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert [line.split()[1] for line in lines] == ["1/1000", "3/1000", "1000/1000"]
    assert lines[0] == "step 1/1000  loss 0.5000  8 images/s  50.0 min left"


def test_hours_are_told_as_such(capsys):
    with training.show_training(10_000, 0) as show:
        show(step(1))
    assert "8.3 h left" in capsys.readouterr().err


def test_nobody_reading_is_no_reason_to_stop(monkeypatch):
    def fail(_text):
        raise BrokenPipeError

    monkeypatch.setattr(training, "say_aside", fail)
    with training.show_training(10, 0) as show:
        show(step(1))


def test_nothing(capsys):
    with training.show_nothing() as show:
        show(step(1))
    assert capsys.readouterr() == ("", "")
    with pytest.raises(ZeroDivisionError), training.show_nothing():
        raise ZeroDivisionError
