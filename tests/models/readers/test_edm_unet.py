"""EDM's U-Nets against another implementation, whose values `tests/support/edm_cases.py` holds."""

from __future__ import annotations

from math import cos, sin

import numpy as np
import pytest
import torch

from dtool.models.readers.edm_unet import DhariwalUNet, RandomSinusoids, Sinusoids, SongUNet, make_unet
from tests.models.readers.test_edm_levels import TINY
from tests.support.edm_cases import CASES, PLACES, make_inputs
from tests.support.edm_files import make_network


@pytest.mark.parametrize("name", CASES)
def test_the_answer_is_that_of_another_implementation(name: str) -> None:
    case = CASES[name]
    network = make_network(case.arguments)
    with torch.no_grad():
        answer = network(*make_inputs(case.arguments.get("label_dim", 0)))
    np.testing.assert_allclose([float(answer[place]) for place in PLACES], case.expected, rtol=0, atol=1e-5)


def test_frequencies_end_at_a_ten_thousandth_or_before_it() -> None:
    cosine, sine = Sinusoids(8, closed=True)(torch.tensor([100.0]))
    assert cosine[0, 0] == pytest.approx(cos(100), abs=1e-5)
    assert sine[0, -1] == pytest.approx(sin(100 / 10_000), rel=1e-5)
    open_sine = Sinusoids(8, closed=False)(torch.tensor([100.0]))[1]
    assert open_sine[0, -1] == pytest.approx(sin(100 * 10_000**-0.75), rel=1e-5)


def test_random_frequencies_are_turns() -> None:
    told = RandomSinusoids(4)
    told.load_state_dict({"freqs": torch.tensor([0.25, 1.0])})
    cosine, sine = told(torch.tensor([1.0]))
    torch.testing.assert_close(sine, torch.tensor([[1.0, 0.0]]), atol=1e-6, rtol=0)
    torch.testing.assert_close(cosine, torch.tensor([[0.0, 1.0]]), atol=1e-6, rtol=0)


def test_the_class_that_is_named_is_made() -> None:
    assert type(make_unet("SongUNet", TINY)) is SongUNet
    wide = make_network(CASES["adm"].arguments)
    assert type(wide) is DhariwalUNet


def test_attention_that_no_head_of_64_channels_divides() -> None:
    with pytest.raises(ValueError, match="attention of 16 channels in heads of 64"):
        make_unet("DhariwalUNet", TINY)
