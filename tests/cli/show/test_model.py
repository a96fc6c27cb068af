"""What is shown of networks of dtool's own."""

from __future__ import annotations

import dtool
from dtool.cli.show.model import describe_network, show_network


def test_classes_and_guidance_are_shown_where_there_are_some(capsys):
    net = dtool.network(lambda x, t, label: x, shape=(1, 4, 4), classes=20, guidance=2.0, clip=True)
    show_network(net, describe_network(net, None, None))
    out = " ".join(capsys.readouterr().out.split())
    assert "classes 20: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 …; and one for none" in out
    assert "guidance 2" in out
    assert "clipping of predicted images" in out
    assert "what dtool assumes" not in out


def test_a_learned_variance_is_shown():
    net = dtool.network(lambda x, t: x, shape=(1, 4, 4), learned_variance=True)
    about = describe_network(net, "a.b:c", None)
    assert about["learned_variance"]
    assert about["what"] == "a function on numpy arrays"


def test_a_picture_that_is_given_noise_says_so(capsys):
    told = ({"name": "low", "shape": (1, 2, 2), "noised_by": "level"}, {"name": "level", "null": 0})
    net = dtool.network(lambda x, t, low, level: x, shape=(1, 4, 4), conditions=told)
    show_network(net, describe_network(net, None, None))
    assert "given noise of the level level" in " ".join(capsys.readouterr().out.split())
