"""Processes of this machine: the figures of one after the other, also where one of them is killed."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from mlfound.errors import UserError
from mlfound.runs.reader import Run
from mlfound.sweeps import backends
from mlfound.sweeps.backends import Dask, Processes
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


def kill_one_at_work(killed: list[int], runs: Path) -> None:
    """SIGKILL to a child that holds a cell, as soon as that has a checkpoint."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        children = {child.pid: child for child in multiprocessing.active_children()}
        for lock in runs.glob("*/cells/2*/checkpoints/*.safetensors"):
            run = Run(lock.parent.parent, forgiving=True)
            if run.status == "running" and children:
                pid = next(iter(children))
                os.kill(pid, signal.SIGKILL)  # type: ignore[arg-type]
                killed.append(pid)  # type: ignore[arg-type]
                return
        time.sleep(0.005)


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
    monkeypatch.setattr(backends, "ANSWER_SECONDS", 0.3)
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
