"""What a network predicts, held against its answers: every wrong word is found where the law is seen, no right one."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import dtool
from dtool.models.network import Network
from dtool.run.prediction_check import WORDS, PredictionWarning, find_contradiction, warn_of_prediction
from dtool.targets import target
from tests.support.told_networks import text_network

SCHEDULES = ("linear", "flow")


def make_said(law: str, truth: Any, said: Any, schedule: str = "linear", **fields: Any) -> Network:
    """The optimal network of a law, which predicts `truth`, as one of which something else is said."""
    own = target(law).network(schedule, truth)
    return dtool.network(
        own.fn, shape=own.shape, schedule=own.schedule, prediction=said, data_range=own.spec.data_range,
        classes=own.classes, **fields,
    )  # fmt: skip


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("said", WORDS)
@pytest.mark.parametrize("truth", WORDS)
def test_every_wrong_word_is_found_and_no_right_one(truth: str, said: str, schedule: str) -> None:
    message = find_contradiction(make_said("two-diracs", truth, said, schedule))
    if truth == said:
        assert message == ""
    else:
        assert message.startswith(f"the network's answers do not look like {said} (")
        assert f"but like {truth} (" in message
        assert message.endswith(f"say --prediction {truth} (prediction='{truth}')")


@pytest.mark.parametrize("schedule", ["linear", "edm", "scaled-linear:zero_snr=true"])
@pytest.mark.parametrize("law", ["gmm:d=2", "gaussian:d=2"])
@pytest.mark.parametrize("word", WORDS)
def test_no_right_word_is_doubted_however_smooth_the_law(law: str, word: Any, schedule: str) -> None:
    if word == "eps" and "zero_snr" in schedule:
        pytest.skip("of no signal ε says nothing")
    assert find_contradiction(make_said(law, word, word, schedule)) == ""


@pytest.mark.parametrize("said", ["u", "sigma", "log-sigma/4"])
@pytest.mark.parametrize("truth", ["eps", "v", "flow"])
def test_a_time_that_is_told_otherwise_is_found(truth: str, said: Any) -> None:
    message = find_contradiction(make_said("two-diracs", truth, truth, time=said))
    assert message.startswith(f"the network's answers do not look like {truth} told its time as {said} (")
    assert message.endswith("say --time index (time='index')")


def test_a_trained_network_is_not_doubted_and_every_wrong_word_of_it_is_found() -> None:
    digits = dtool.default_network()
    for word in WORDS:
        said = dtool.network(
            digits.predict, shape=digits.shape, classes=10, schedule=digits.schedule, prediction=word, clip=True
        )
        message = find_contradiction(said)
        assert message == "" if word == "eps" else "but like eps (1.00 of pure noise" in message


@pytest.mark.parametrize("said", ["u", "sigma", "log-sigma/4"])
def test_a_trained_network_that_is_told_its_time_otherwise(said: Any) -> None:
    digits = dtool.default_network()
    net = dtool.network(
        digits.predict, shape=digits.shape, classes=10, schedule=digits.schedule, time=said, clip=digits.spec.clip
    )
    message = find_contradiction(net)
    assert message.startswith(f"the network's answers do not look like eps told its time as {said} (")
    assert message.endswith("say --time index (time='index')")


def test_random_weights_look_like_nothing() -> None:
    torch = pytest.importorskip("torch")
    from dtool.models.unet import UNet, UNetConfig

    for seed in range(3):
        torch.manual_seed(seed)
        unet = UNet(UNetConfig(channels=3, width=16, multipliers=(1, 2)))
        for weights in unet.parameters() if seed else ():
            if not weights.any():  # the last layer, which training begins at 0
                torch.nn.init.normal_(weights, std=0.3)
        for word in WORDS:
            assert find_contradiction(dtool.network(unet, shape=(3, 16, 16), prediction=word)) == ""


@pytest.mark.parametrize("scale", [-1.0, 0.0, 0.3, 1.0])
@pytest.mark.parametrize("word", WORDS)
def test_a_multiple_of_x_looks_like_nothing(word: Any, scale: float) -> None:
    assert find_contradiction(dtool.network(lambda x, t: scale * x, shape=(8,), prediction=word)) == ""


def test_it_is_said_once_before_the_first_run() -> None:
    net = make_said("two-diracs", "v", "eps")
    with pytest.warns(PredictionWarning, match="but like v"):
        dtool.sample(net, "ddim", steps=4, n=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dtool.sample(net, "ddim", steps=4, n=2)


def test_closed_forms_and_dtools_own_networks_are_not_tried_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(network: Network) -> str:
        raise AssertionError("tried out")

    monkeypatch.setattr("dtool.run.prediction_check.find_contradiction", refuse)
    warn_of_prediction(target("gmm:d=2").network())
    warn_of_prediction(dtool.default_network())


def test_a_network_that_fails_is_left_to_the_run() -> None:
    def fail(x: Any, t: Any) -> Any:
        raise ValueError("no")

    warn_of_prediction(dtool.network(fail, shape=(3,)))
    warn_of_prediction(dtool.network(lambda x, t: np.full_like(x, np.nan), shape=(3,)))


def test_conditions_and_prompts_are_told_as_nothing() -> None:
    assert find_contradiction(text_network()) == ""
