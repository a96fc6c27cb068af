"""The flags of a run into a folder: what belongs together."""

import pickle

import pytest

from dtool.cli.flags.decoder import DecoderWords
from dtool.cli.flags.drawing import Drawing
from dtool.cli.flags.loading import Opening
from dtool.cli.flags.parts import PartsWords, SampleModel
from dtool.errors import UsageError
from dtool.models.description import UNDESCRIBED
from dtool.models.runtime import ANYWHERE


@pytest.mark.parametrize(
    ("options", "flag"),
    [
        ({"kind": "png"}, "--format"), ({"block_size": 2}, "--block-size"), ({"workers": 2}, "--workers"),
        ({"part": "1/2"}, "--part"), ({"parts": 2}, "--parts"), ({"redraw": True}, "--redraw"),
        ({"ray": "auto"}, "--ray"),
    ],
)  # fmt: skip
def test_what_is_said_of_a_folder_needs_one(options, flag):
    with pytest.raises(UsageError, match=f"{flag} is for a run into a folder"):
        PartsWords(**options).require_folder()


def test_ray_divides_the_blocks_itself(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert PartsWords(ray="auto").find_share().count == 1
    with pytest.raises(UsageError, match="--ray divides the blocks itself"):
        PartsWords(ray="auto", workers=2).find_share()


def test_a_worker_opens_what_the_command_does(tmp_path):
    opening = Opening(runtime=ANYWHERE, description=UNDESCRIBED)
    model = SampleModel(names=("gmm:d=2",), opening=opening, decoder=DecoderWords(), drawing=Drawing())
    assert pickle.loads(pickle.dumps(model)) == model
    assert [net.shape for net in model()] == [(2,)]
    drawing = Drawing(weak=tmp_path / "weak.pt")
    files = SampleModel(names=("a.pt", "b.pt"), opening=opening, decoder=DecoderWords(), drawing=drawing).list_files()
    assert [path.name for path in files] == ["a.pt", "b.pt", "weak.pt"]
    own = SampleModel(names=(), opening=opening, decoder=DecoderWords(), drawing=Drawing()).list_files()
    assert [path.name for path in own] == ["digits.onnx"]
