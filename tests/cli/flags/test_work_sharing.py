import pickle
import sys
from pathlib import Path

import pytest
import typer

from dtool.cli.flags.decoder import DecoderWords
from dtool.cli.flags.drawing import Drawing
from dtool.cli.flags.loading import Opening
from dtool.cli.flags.work_sharing import SharedModel, SharingFlags, allow_unfinished, sum_with_one_thread
from dtool.compare.work_sharing import UnfinishedError, WorkSharing
from dtool.errors import UsageError
from dtool.models.description import UNDESCRIBED
from dtool.models.runtime import ANYWHERE
from dtool.parts.share import Share

OPENING = Opening(runtime=ANYWHERE, description=UNDESCRIBED)


def share_model(name="gmm:d=2"):
    return SharedModel(name=name, opening=OPENING, drawing=Drawing(), decoder=DecoderWords())


def test_nothing_is_shared_unless_a_flag_says_so():
    assert SharingFlags().resolve(share_model()) is None
    sharing = SharingFlags(workers=3).resolve(share_model())
    assert (sharing.workers, sharing.folder, sharing.share.count) == (3, None, 1)
    parts = SharingFlags(part="2/3", into=Path("blocks")).resolve(share_model())
    assert (parts.folder, parts.share.index, parts.share.count, parts.workers) == (Path("blocks"), 1, 3, 1)


def test_a_launcher_says_the_part_where_there_is_a_folder(monkeypatch):
    for name, value in {"RANK": "1", "WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    assert SharingFlags(into=Path("blocks")).resolve(share_model()).share.count == 4
    assert SharingFlags(workers=2).resolve(share_model()).share.count == 1


def test_a_part_without_a_folder_and_no_part_are_refused():
    with pytest.raises(UsageError, match="part 1/2 leaves its blocks nowhere"):
        SharingFlags(part="1/2").resolve(share_model())
    with pytest.raises(UsageError, match="--part 3/2: not one of several parts"):
        SharingFlags(part="3/2", into=Path("blocks")).resolve(share_model())


def test_the_model_goes_to_a_worker_and_is_opened_there():
    model = pickle.loads(pickle.dumps(share_model()))
    assert model().shape == (2,)
    assert model.list_files() == []
    assert [path.name for path in share_model(None).list_files()] == ["digits.onnx"]


def test_a_part_that_has_done_its_own_ends_well(capsys):
    error = UnfinishedError(Path("blocks"), 2, 6)
    with (
        pytest.raises(typer.Exit),
        allow_unfinished(WorkSharing(folder=Path("blocks"), share=Share(0, 3)), quiet=False),
    ):
        raise error
    assert "part 1/3 is done. blocks: 2 of 6 blocks are not there yet" in capsys.readouterr().err
    with pytest.raises(UnfinishedError), allow_unfinished(WorkSharing(folder=Path("blocks")), quiet=False):
        raise error


def test_sums_are_made_by_one_thread_unless_the_user_says_otherwise(monkeypatch):
    monkeypatch.delitem(sys.modules, "numpy")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    environment = {"OPENBLAS_NUM_THREADS": "3"}
    monkeypatch.setattr("dtool.cli.flags.work_sharing.os.environ", environment)
    sum_with_one_thread()
    assert environment == {"OPENBLAS_NUM_THREADS": "3", "MKL_NUM_THREADS": "1"}
