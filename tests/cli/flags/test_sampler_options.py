"""The options of the chosen sampler as flags."""

from __future__ import annotations

import inspect
from typing import Annotated

import pytest
from pydantic import Field

from dtool.cli.flags.sampler_options import Options, find_chosen_sampler, with_options
from dtool.samplers.rule import sampler


@sampler("odd", order=1)
def odd(
    now,
    to,
    *,
    steps: Annotated[int, Field(ge=1, description="has the name of a flag that the command has")] = 2,
    last_step: Annotated[bool, Field(description="a flag of two words")] = False,
    weights: Annotated[tuple[float, ...], Field(description="no plain type")] = (1.0, 2.0),
    name: str,
):
    """A rule with every kind of option."""
    return now.x


def command(steps: int = 50, *, options: Options):
    """A command with a flag of its own."""
    return steps, options


def test_an_option_gets_a_flag_and_a_clash_is_spelt_with_the_sampler_s_name():
    made = with_options(command, odd)
    parameters = inspect.signature(made).parameters
    spelt = {name: p.annotation.__metadata__[0].default for name, p in parameters.items() if name != "steps"}
    assert spelt == {
        "option_steps": "--odd-steps", "option_last_step": "--last-step", "option_weights": "--weights",
        "option_name": "--name",
    }  # fmt: skip
    assert parameters["option_steps"].default == 2
    assert parameters["option_name"].default is inspect.Parameter.empty, "a required option stays required"
    given = {"option_steps": 3, "option_last_step": True, "option_weights": "x", "option_name": "n"}
    assert made(steps=7, **given) == (7, {"steps": 3, "last_step": True, "weights": "x", "name": "n"})
    assert parameters["option_weights"].default is None, "what typer cannot read keeps the rule's default"
    assert made(steps=7, **given | {"option_weights": None})[1].keys() == {"steps", "last_step", "name"}


def test_a_bound_option_is_the_flag_s_default():
    rule = odd.bind(steps=9, name="n")
    assert inspect.signature(with_options(command, rule)).parameters["option_steps"].default == 9


@pytest.mark.parametrize(
    ("args", "token"),
    [
        ([], "ddpm"),
        (["model.pt", "--sampler", "heun", "-n", "3"], "heun"),
        (["--sampler=ddim:eta=0.5"], "ddim:eta=0.5"),
        (["--recipe", "euler@cosine/karras"], "euler"),
        (["--sampler", "heun", "--sampler", "ddim"], "ddim"),
        (["--", "--sampler", "heun"], "ddpm"),
        (["--sampler"], "ddpm"),
    ],
)
def test_the_sampler_is_found_in_the_arguments(args, token):
    assert find_chosen_sampler(args).token == token
