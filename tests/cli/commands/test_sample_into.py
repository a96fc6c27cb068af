"""`dtool sample --into`, `dtool merge` and `dtool verify`, as they are typed."""

import json

import numpy as np
import pytest
from PIL import Image

import dtool
from tests.support.commandline import failed, names, network, ran, typed, use_network

RUN = ("sample", "--steps", 2, "-n", 10, "--block-size", 4, "--seed", 3, "--into", "samples")


@pytest.fixture(autouse=True)
def quiet_launchers(monkeypatch):
    """No launcher of the machine that tests on numbers us."""
    for name in ("RANK", "WORLD_SIZE", "SLURM_PROCID", "SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX", "DTOOL_PARTS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def net(monkeypatch, tmp_path):
    made = use_network(monkeypatch, tmp_path, network())
    (tmp_path / "digits.onnx").write_bytes(b"")
    return made


def test_a_folder_is_drawn_taken_up_verified_and_merged(net, capsys):
    first = ran(capsys, *RUN, "--part", "1/2")
    assert (first.code, first.out) == (0, "samples\n")
    assert "part 1/2 of the blocks, by --part" in first.err
    assert "6 images: 6 drawn" in first.err
    lacking = ran(capsys, "verify", "samples")
    assert lacking.code == 1
    assert lacking.out.startswith("00000004-00000007-")
    assert lacking.out.endswith(": missing\n")
    assert "of 3 blocks 1 are missing and 0 damaged" in lacking.err
    failed(ran(capsys, "merge", "samples"), 1, "1 block is missing: 00000004-00000007", "draws what is missing")
    rest = json.loads(ran(capsys, *RUN, "--json").out)
    assert rest["images"] == {"drawn": 4, "there": 6, "elsewhere": 0, "damaged": 0}
    sound = ran(capsys, "verify", "samples", "--json")
    assert json.loads(sound.out)["missing"] == []
    assert ran(capsys, "merge", "samples", "--exact", "-q").out == "samples.npz\n"
    whole = dtool.sample(net, "ddpm", steps=2, n=10, seed=3)
    np.testing.assert_array_equal(np.load("samples.npz")["arr_0"], whole.x0)
    np.testing.assert_array_equal(np.load("samples.npz")["arr_1"], whole.labels)


def test_pictures_in_folders_are_drawn_and_merged(net, capsys):
    assert ran(capsys, *RUN, "--format", "png", "--class", "2,0").code == 0
    assert ran(capsys, "merge", "samples", "-o", "pictures").code == 0
    assert len(names()) == 3
    assert Image.open("pictures/00000009.png").size == (10, 12)
    failed(ran(capsys, *RUN), 2, "was drawn with --format png, and this run has --format npz", "--into")


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"RANK": "1", "WORLD_SIZE": "3"}, "part 2/3 of the blocks, by torchrun (RANK, WORLD_SIZE)"),
        (
            {"SLURM_ARRAY_TASK_ID": "5", "SLURM_ARRAY_TASK_MIN": "4", "SLURM_ARRAY_TASK_MAX": "6"},
            "part 2/3 of the blocks, by SLURM's array (SLURM_ARRAY_TASK_ID)",
        ),
        ({"JOB_COMPLETION_INDEX": "1", "DTOOL_PARTS": "3"}, "part 2/3 of the blocks, by Kubernetes"),
    ],
)
def test_a_launcher_says_which_part_it_is(net, capsys, monkeypatch, environment, said):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    result = ran(capsys, *RUN)
    assert said in result.err
    assert "4 images: 4 drawn" in result.err


@pytest.mark.parametrize(
    ("more", "code", "cause", "hint"),
    [
        (["-o", "a.png"], 2, "-o is not for a run into a folder", "leave out --into"),
        (["--npz", "a.npz"], 2, "--npz is not for a run into a folder", "leave out --into"),
        (["--trace"], 2, "--trace is not for a run into a folder", "leave out --into"),
        (["--ids", "0-3"], 2, "--ids is not for a run into a folder", "leave out --into"),
        (["--interpolate", "0:1:3"], 2, "--interpolate is not for", "leave out --into"),
        (["--part", "4/3"], 2, "--part 4/3: not one of several parts", "3/8"),
        (["--parts", "4"], 2, "nothing here says which of them this is", "--part K/N"),
        (["--ray", "--workers", "2"], 2, "--ray divides the blocks itself", "leave out"),
        (["--workers", "0"], 2, "--workers", ""),
    ],
)
def test_what_does_not_belong_together_is_refused(net, capsys, more, code, cause, hint):
    failed(ran(capsys, *RUN, *more), code, cause, hint)
    assert names() == ["digits.onnx"]


def test_other_runs_and_strangers_are_refused(net, capsys, tmp_path):
    ran(capsys, *RUN)
    run = [*RUN]
    run[run.index(3)] = 4
    failed(ran(capsys, *run), 2, "samples was drawn with seed 3, and this run has seed 4", "--into")
    failed(ran(capsys, *RUN, "--guidance", 2), 2, "was drawn with guidance 1.0, and this run has guidance 2.0")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("")
    failed(ran(capsys, *RUN[:-1], "mine"), 2, "mine holds other things (letter.txt)", "a new folder")
    failed(ran(capsys, *RUN[:-1], "digits.onnx"), 1, "digits.onnx: can't be written")


def test_a_damaged_block_fails_the_run_and_redraw_mends_it(net, capsys, tmp_path):
    ran(capsys, *RUN)
    path = min((tmp_path / "samples").glob("*.npz"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    result = ran(capsys, *RUN)
    assert result.code == 1
    assert f"1 block is damaged: {path.name}" in result.err
    listed = ran(capsys, "verify", "samples")
    assert (listed.code, f"{path.name}: damaged: " in listed.out) == (1, True)
    assert ran(capsys, *RUN, "--redraw").code == 0
    assert path.read_bytes() == whole


def test_what_was_begun_with_other_versions_goes_on_with_a_warning(net, capsys, tmp_path):
    ran(capsys, *RUN)
    manifest = tmp_path / "samples" / "manifest.json"
    manifest.write_text(manifest.read_text().replace(f'"numpy": "{np.__version__}"', '"numpy": "1.0"'))
    result = ran(capsys, *RUN)
    assert result.code == 0
    assert f"begun with other versions (numpy 1.0 → {np.__version__})" in result.err


def test_workers_draw_what_one_process_draws(tmp_path):
    run = ("sample", "gmm:d=2", "--sampler", "heun", "--steps", 2, "-n", 9, "--block-size", 2)
    for folder, more in (("one", ()), ("two", ("--workers", 2))):
        result = typed(*run, "--into", folder, *more, cwd=tmp_path)
        assert result.code == 0, result.err
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "two"))
    assert len(one) == 6
    assert one == two
