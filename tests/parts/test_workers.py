"""A function of every block: the same results in the same order, whatever becomes of the workers."""

import os
import signal
import subprocess
import sys
import time
from multiprocessing.process import BaseProcess

import pytest

from dtool.errors import DtoolError, UsageError
from dtool.parts import divide, for_each_block
from tests.support import block_functions
from tests.support.commandline import plain_environment
from tests.support.places import ROOT

pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs POSIX signals")


@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_the_order_of_the_ids(workers):
    done = []
    blocks = divide(20, 3)
    results = list(for_each_block(None, block_functions.count_ids, blocks, workers=workers, on_done=done.append))
    assert results == [(block.first, len(block)) for block in blocks]
    assert sorted(done) == list(blocks)


def test_a_slow_block_is_waited_for():
    assert list(for_each_block(None, block_functions.slow_first, divide(6, 1), workers=2)) == list(range(6))


def test_a_worker_that_is_killed_is_replaced_and_its_block_done_again(tmp_path):
    assert list(for_each_block(tmp_path, block_functions.die_once, divide(5, 1), workers=2)) == list(range(5))
    assert (tmp_path / "died").exists()


def test_a_block_that_no_worker_survives_is_named():
    with pytest.raises(DtoolError, match=r"images 0 to 1: 3 workers in turn have died of them \(SIGKILL\)"):
        list(for_each_block(None, block_functions.die, divide(2, 2), workers=2))


@pytest.mark.parametrize(
    ("job", "kind", "cause"),
    [
        ("ours", UsageError, "no images (0 to 0|1 to 1)"),
        ("theirs", DtoolError, r"a worker failed \(ZeroDivisionError: by zero\)"),
    ],
)
def test_an_error_in_a_worker_is_raised_here(job, kind, cause):
    with pytest.raises(kind, match=cause) as caught:
        list(for_each_block(job, block_functions.fail, divide(2, 1), workers=2))
    assert caught.value.hint


def test_a_warning_in_workers_is_given_once():
    with pytest.warns(UserWarning, match="beware") as caught:
        list(for_each_block(None, block_functions.warn, divide(4, 1), workers=2))
    assert len(caught) == 1


def test_workers_divide_the_threads(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    results = list(for_each_block(None, block_functions.get_threads, divide(2, 1), workers=2, threads=3))
    assert results == [("3", "3")] * 2
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "DTOOL_THREADS" not in os.environ


def test_what_cannot_be_given_to_processes_is_refused():
    with pytest.raises(UsageError, match="cannot be given to other processes"):
        list(for_each_block(None, lambda job, block: 0, divide(4, 1), workers=2))
    with pytest.raises(UsageError, match="0 workers"):
        for_each_block(None, block_functions.count_ids, divide(4, 1), workers=0)


def test_leaving_the_iterator_ends_the_workers(tmp_path):
    results = for_each_block(tmp_path, block_functions.die_once, divide(9, 1), workers=2)
    assert next(results) == 0
    results.close()


def test_ctrl_c_while_a_worker_starts_is_heard_afterwards(monkeypatch):
    """It was lost, and the run went on, if it came in that moment."""
    begin = BaseProcess.start

    def start_and_interrupt(self):
        begin(self)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(BaseProcess, "start", start_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        list(for_each_block(None, block_functions.count_ids, divide(4, 1), workers=2))


def test_ctrl_c_ends_all(tmp_path):
    code = f"""
        import pathlib
        from dtool.parts import divide, for_each_block
        from tests.support import block_functions
        if __name__ == "__main__":
            list(for_each_block(pathlib.Path({str(tmp_path)!r}), block_functions.sleep_long, divide(4, 1), workers=2))
    """
    script = tmp_path / "script.py"
    script.write_text("\n".join(line[8:] for line in code.splitlines()))
    environment = plain_environment() | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, str(script)], env=environment, start_new_session=True, stderr=subprocess.PIPE
    ) as process:
        deadline = time.monotonic() + 240
        while len(pids := [path for path in tmp_path.iterdir() if path.name.isdecimal()]) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        assert b"KeyboardInterrupt" in process.communicate(timeout=300)[1]
    for path in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.name), 0)
