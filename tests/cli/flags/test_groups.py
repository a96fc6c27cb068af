"""Objects as groups of flags."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from dtool.cli.flags.groups import FlagGroup, with_flags


@dataclass(frozen=True, kw_only=True)
class Weather:
    """Fields of every kind: with a default, without a value, a switch, one that is text on the command line."""

    place: str = "sea"
    wind: int | None = None
    rain: bool = False
    days: tuple[int, ...] = (1,)


WEATHER = FlagGroup(
    Weather,
    {
        "place": Annotated[str, typer.Option(help="where")],
        "wind": Annotated[int | None, typer.Option("--wind-speed", min=0)],
        "rain": Annotated[bool, typer.Option("--rain/--dry")],
        "days": Annotated[str | None, typer.Option()],
    },
    parsers={"days": lambda text: tuple(map(int, text.split(",")))},
)


def called(*words):
    """What a command is called with, and what it prints."""
    seen = []

    @with_flags(WEATHER)
    def command(name: str = "x", *, weather: Weather, loud: bool = False) -> None:
        """Say it."""
        seen.append((name, weather, loud))

    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, [str(word) for word in words])
    return (*seen, result)


def test_a_command_gets_the_object_of_its_flags():
    words = ["ice", "--place", "hill", "--wind-speed", 7, "--rain", "--days", "2,3", "--loud"]
    [arguments, _] = called("--name", *words)
    assert arguments == ("ice", Weather(place="hill", wind=7, rain=True, days=(2, 3)), True)


def test_a_field_whose_flag_is_not_given_keeps_its_default():
    [arguments, _] = called()
    assert arguments == ("x", Weather(), False)


@pytest.mark.parametrize("words", [("--wind-speed", -1), ("--wind", 3), ("--weather", "wet")])
def test_what_typer_refuses(words):
    [result] = called(*words)
    assert result.exit_code == 2


def test_the_flags_stand_where_the_object_stood():
    @with_flags(WEATHER)
    def command(first: int, *, weather: Weather, last: int = 3) -> None: ...

    parameters = inspect.signature(command).parameters
    assert list(parameters) == ["first", "place", "wind_speed", "rain", "days", "last"]
    assert [p.default for p in parameters.values()][1:] == ["sea", None, False, None, 3]


@dataclass(frozen=True, kw_only=True)
class Own:
    """A group of the command line's own."""

    depth: Annotated[int, typer.Option("--how-deep")] = 3


def test_a_dataclass_may_carry_its_flags_itself():
    @with_flags(FlagGroup.of(Own))
    def command(*, own: Own) -> int:
        return own.depth

    assert list(inspect.signature(command).parameters) == ["how_deep"]
    assert command(how_deep=5) == 5
    assert command() == 3


@dataclass(frozen=True, kw_only=True)
class Journey:
    """An object with another in it."""

    weather: Weather
    stops: int = 0


def test_the_flags_of_an_object_s_parts_are_flags_of_its_own():
    group = FlagGroup(Journey, {"stops": Annotated[int, typer.Option()]}, parts={"weather": WEATHER})
    assert list(group.list_parameters()) == ["place", "wind", "rain", "days", "stops"]

    @with_flags(group)
    def command(*, journey: Journey) -> Journey:
        return journey

    assert command() == Journey(weather=Weather())
    assert command(wind_speed=7, days="2,3", stops=4) == Journey(weather=Weather(wind=7, days=(2, 3)), stops=4)
