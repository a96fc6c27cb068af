"""Wrong usage is answered with what to type."""

from __future__ import annotations

import pytest

from tests.support.commandline import failed, ran


@pytest.mark.parametrize(
    ("args", "cause", "hint"),
    [
        (["smaple"], "there is no command 'smaple'", "did you mean sample"),
        (["plan", "ddpm", "--stps", "3"], "dtool plan has no option --stps", "did you mean --steps"),
        (["plan"], "missing argument", "dtool plan --help"),
        (["plan", "ddpm", "ddim"], "unexpected extra argument", "dtool plan --help"),
        (["--hlep"], "no option --hlep", "--help"),
        (["plan", "ddmp"], "there is no sampler 'ddmp'", "did you mean ddpm"),
        (["plan", "ddim@cosinus"], "there is no scheduler 'cosinus'", "did you mean cosine"),
        (["plan", "ddim/karas"], "there is no spacing 'karas'", "did you mean karras"),
        (["plan", "ddim:etta=1"], "ddim has no option 'etta'", "did you mean eta"),
        (["plan", "ddim:eta=2"], "ddim: eta='2' is refused", "less than or equal to 1"),
        (["plan", "ddim", "--steps", "0"], "'--steps'", "dtool plan --help"),
        (["plan", "ddim", "--steps", "many"], "'--steps'", "dtool plan --help"),
        (["plan", "ddim", "--steps", "1001"], "1001 steps cannot be had from a schedule of 1000", "1 to 1000"),
        (["plan", "ddim", "--points", "9,x"], "--points 9,x: not a list of numbers", "999,750,500,250"),
        (["plan", "ddim/karras", "--spacing", "linspace"], "names its spacing already", "leave out"),
        (["samplers", "nope"], "there is no sampler 'nope'", ""),
        (["schedulers", "cosin"], "there is no scheduler 'cosin'", "did you mean cosine"),
        (["spacings", "karas"], "there is no spacing 'karas'", "did you mean karras"),
    ],
)
def test_wrong_usage_exits_with_2_and_says_what_to_type(capsys, args, cause, hint):
    failed(ran(capsys, *args), 2, cause, hint)
