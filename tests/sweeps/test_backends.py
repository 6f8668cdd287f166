"""Processes of this machine: the figures of one after the other, also where one of them is killed."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from mlfound.errors import UserError
from mlfound.runs.reader import Run
from mlfound.sweeps import backends, cluster
from mlfound.sweeps.backends import Processes
from mlfound.sweeps.cluster import Dask
from tests.faults.sweeps import children
from tests.support.commands import Outcome, mlfound, refused, without_git

SETTINGS = (
    "data.dataset=mnist-sample",
    "epochs=6",
    "checkpoint.seconds=0",
    "optimizer.lr=0.05,0.1",
    "--seeds",
    "0-1",
)
TIMELESS = ("cell", "optimizer.lr", "seed", "status", "valid_loss", "valid_accuracy", "test_accuracy")


def sweep(*words: object) -> Outcome:
    with without_git():
        return mlfound("sweep", *SETTINGS, "--no-plots", *words)


def figures(outcome: Outcome) -> list[list[str]]:
    """All of a cell's row but how long it took and where it is; and its weights."""
    rows = outcome.rows("cells")
    weights = [(outcome.path / row["run"] / "model.safetensors").read_bytes().hex() for row in rows]
    return [[row[name] for name in TIMELESS] + [each] for row, each in zip(rows, weights, strict=True)]


def at_work(runs: Path) -> list[Path]:
    """The cells that have a checkpoint, and a process."""
    begun = {path.parent.parent for path in runs.glob("2*/cells/2*/checkpoints/*.safetensors")}
    return [path for path in begun if Run(path, forgiving=True).status == "running"]


def kill_one_at_work(killed: list[int], runs: Path) -> None:
    """SIGKILL to a child of ours, as soon as a cell is at work."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not killed:
        if at_work(runs):
            killed += [child.pid for child in multiprocessing.active_children() if child.pid][:1]
        time.sleep(0.005)
    os.kill(killed[0], signal.SIGKILL)


@pytest.mark.slow
def test_two_processes_give_the_figures_of_one_though_one_is_killed(own_folder: Path) -> None:
    in_turn = sweep("--jobs", 1, "--runs-dir", "turn")
    killed: list[int] = []
    killer = threading.Thread(target=kill_one_at_work, args=(killed, own_folder / "two"))
    killer.start()
    outcome = sweep("--jobs", 2, "--runs-dir", "two")
    killer.join()
    assert killed
    assert outcome.code == 0
    assert figures(outcome) == figures(in_turn)
    assert len(list(outcome.path.glob("cells/2*"))) == 4, "every cell once"
    assert not multiprocessing.active_children()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_sweep_that_is_interrupted_leaves_its_cells_so_that_they_go_on(number: signal.Signals) -> None:
    """Its workers end with it, however it ends."""
    words = ["epochs=150" if word == "epochs=4" else word for word in SETTINGS]
    command = [sys.executable, "-m", "mlfound", "sweep", *words, "--no-plots", "--quiet", "--jobs", "2"]
    heeded = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)  # noqa: E731
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heeded)
    while len(at_work(Path("runs"))) < 2:
        assert process.poll() is None
        time.sleep(0.01)
    workers = children(process.pid)
    process.send_signal(number)
    _, err = process.communicate(timeout=10)
    [path] = Path("runs").glob("2*")
    if number != signal.SIGKILL:
        assert process.returncode == 128 + number
        assert err == "", "it is quiet"
        assert [Run(each).status for each in path.glob("cells/2*")].count("interrupted") == 2
    assert len(workers) == 2
    deadline = time.monotonic() + 5
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    outcome = mlfound("sweep", "--resume", path, "--jobs", 1, "--no-plots")
    assert outcome.code == 0
    rows = [Run(outcome.path / row["run"]) for row in outcome.rows("cells")]
    assert [run.status for run in rows] == ["completed"] * 4
    assert sum("resumed" in run.facts for run in rows) == 2


def test_a_cell_that_kills_its_workers_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """After that many attempts it is the cell; here no worker lives long enough to begin."""
    monkeypatch.setattr(backends, "serve", die)
    backend = Processes(1)
    monkeypatch.setattr(backend, "context", multiprocessing.get_context("fork"))
    [outcome] = backend.outcomes([SimpleNamespace(cell=SimpleNamespace(name="a"))])  # type: ignore[list-item]
    backend.close()
    assert (outcome.status, outcome.error) == ("failed", "its worker was killed 3 times")


def die(*_: object) -> None:
    os._exit(1)


def test_a_scheduler_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "ANSWER_SECONDS", 0.3)
    for address in ("tcp://127.0.0.1:9", "nonsense", "tcp://127.0.0.1:notaport"):
        refused(
            sweep("--dask", address),
            f"--dask {address}: no scheduler answers there within 0.3 s; dask scheduler",
        )
    assert not Path("runs").exists()


def test_without_dask_a_line_says_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(
        UserError, match=r"--dask tcp://a:1: pip install 'mlfound\[dask\]' brings what this needs"
    ):
        Dask("tcp://a:1")
