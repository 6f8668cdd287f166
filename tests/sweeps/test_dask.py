"""A real scheduler and real workers on loopback: the figures of one process, whatever dies on the way."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import mlfound as package
from mlfound.sweeps.cluster import nothing_collected
from tests.support.commands import Outcome, mlfound, refused, without_git

pytest.importorskip("distributed")
pytestmark = pytest.mark.slow

SETTINGS = ("data.dataset=mnist-sample", "checkpoint.seconds=0", "optimizer.lr=0.05,0.1", "--no-plots")
TIMELESS = ("cell", "optimizer.lr", "seed", "status", "valid_loss", "valid_accuracy", "test_accuracy")


def started(*words: object, site: Path | None = None) -> subprocess.Popen[bytes]:
    """A part of Dask: `scheduler` or `worker`; mlfound from `site`, if there is one."""
    name, *rest = map(str, words)
    command = [sys.executable, "-m", f"distributed.cli.dask_{name}", "--no-dashboard", *rest]
    env = {**os.environ, "PYTHONPATH": str(site)} if site else None
    null = subprocess.DEVNULL
    return subprocess.Popen(command, env=env, stdout=null, stderr=null, start_new_session=True)


def end(process: subprocess.Popen[bytes]) -> None:
    """With all that it started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class Cluster:
    """A scheduler and its workers, of one thread each."""

    def __init__(self, folder: Path) -> None:
        self.folder, file = folder, folder / "scheduler.json"
        self.scheduler = started("scheduler", "--port", 0, "--host", "127.0.0.1", "--scheduler-file", file)
        self.parts = [self.scheduler]
        wait_for(lambda: file.exists() and file.read_text().endswith("}"))
        self.address = json.loads(file.read_text())["address"]

    def add(self, count: int, site: Path | None = None) -> None:
        """Workers, until they have come."""
        options = ("--nworkers", count, "--nthreads", 1, "--local-directory", self.folder)
        with self.client() as client:
            before = len(client.scheduler_info(n_workers=-1)["workers"])
            self.parts.append(started("worker", self.address, *options, site=site))
            client.wait_for_workers(before + count, timeout=60)

    @contextmanager
    def client(self) -> Iterator[object]:
        from distributed import Client

        with nothing_collected():
            begun = Client(self.address, set_as_default=False)
        with begun as client:
            yield client

    def worker(self) -> int:
        """The process of one of them."""
        with self.client() as client:
            return next(iter(client.run(os.getpid).values()))


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    (tmp_path / "dask").mkdir()
    made = Cluster(tmp_path / "dask")
    yield made
    for part in made.parts:
        end(part)


def sweep(*words: object) -> Outcome:
    with without_git():
        return mlfound("sweep", *SETTINGS, *words)


def figures(outcome: Outcome) -> list[list[str]]:
    """All of a cell's row but how long it took and where it is; and its weights."""
    rows = outcome.rows("cells")
    weights = [(outcome.path / row["run"] / "model.safetensors").read_bytes().hex() for row in rows]
    return [[row[name] for name in TIMELESS] + [each] for row, each in zip(rows, weights, strict=True)]


def when_cells_are_at_work(runs: str, do: Callable[[], object]) -> threading.Thread:
    """In a thread: as soon as a cell has its first checkpoint."""

    def watch() -> None:
        wait_for(lambda: list(Path(runs).glob("2*/cells/2*/checkpoints/*.safetensors")))
        do()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_a_worker_that_is_killed_loses_nothing_but_its_cell(cluster: Cluster) -> None:
    cluster.add(2)
    grid = ("epochs=6", "--seeds", "0-3")
    in_turn = sweep(*grid, "--jobs", 1, "--runs-dir", "turn")
    pid = cluster.worker()
    thread = when_cells_are_at_work("dasks", lambda: os.kill(pid, signal.SIGKILL))
    outcome = sweep(*grid, "--dask", cluster.address, "--runs-dir", "dasks")
    thread.join()
    assert outcome.code == 0
    assert figures(outcome) == figures(in_turn)
    assert len(list(outcome.path.glob("cells/2*"))) == 8, "every cell once"


def test_two_sweeps_at_once_on_one_cluster(cluster: Cluster) -> None:
    """One of them from a process of its own, with cells in common."""
    cluster.add(2)
    grid = ("epochs=2", "--seeds", "0-2", "--dask", cluster.address)
    command = [sys.executable, "-m", "mlfound", "sweep", *SETTINGS, *grid, "--runs-dir", "other"]
    other = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    outcome = sweep(*grid)
    out, _ = other.communicate()
    assert (outcome.code, other.returncode) == (0, 0)
    assert figures(outcome) == figures(Outcome(0, out, ""))


def test_a_worker_of_another_version_is_refused_by_name(cluster: Cluster, tmp_path: Path) -> None:
    site = tmp_path / "site"
    shutil.copytree(Path(package.__file__).parent, site / "mlfound")
    front = site / "mlfound" / "__init__.py"
    front.write_text(front.read_text().replace(f'"{package.__version__}"', '"0.0.9"'))
    cluster.add(1)
    cluster.add(1, site)
    outcome = sweep("--dask", cluster.address)
    said = "it has mlfound 0.0.9, and here it is"
    refused(Outcome(outcome.code, outcome.out, outcome.err), f"--dask {cluster.address}: worker tcp://", said)
    assert not Path("runs").exists()


def test_a_cluster_without_workers_is_refused(cluster: Cluster) -> None:
    refused(sweep("--dask", cluster.address), f"the cluster has no workers; dask worker {cluster.address}")


def test_a_scheduler_that_dies_ends_the_sweep_with_what_to_type(cluster: Cluster) -> None:
    cluster.add(1)
    thread = when_cells_are_at_work("runs", lambda: end(cluster.scheduler))
    outcome = sweep("epochs=20", "--seeds", "0-3", "--dask", cluster.address)
    thread.join()
    cluster.parts.remove(cluster.scheduler)
    assert outcome.code == 1
    [path] = Path("runs").glob("2*")
    said = (
        f"mlfound: the scheduler {cluster.address} is gone; mlfound sweep --resume {path} goes on from here"
    )
    assert outcome.err.splitlines()[-1] == said
    again = mlfound("sweep", "--resume", path, "--jobs", 1, "--no-plots")
    assert again.code == 0
    assert [row["status"] for row in again.rows("cells")] == ["completed"] * 8
