"""Eight processes download one dataset and start their runs together; in some rounds the first dies with the lock.

Real processes, forked from one that has imported everything. What must hold: one good copy, downloaded once,
a run folder for each, and no dead lock.
"""

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from mlfound.cli import app
from mlfound.data import registry
from mlfound.data.registry import Dataset
from tests.faults.report import Report
from tests.support.made import Made, made_up
from tests.support.mirror import Mirror

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

PROCESSES, PATIENCE_S = 8, 60
DOWNLOAD = "download --dataset made"
TRAIN = "train --set data.dataset=made --set epochs=1 --set batch_size=4 --set model.outputs=4"
PRELOADED = ["mlfound.experiments.download", "mlfound.experiments.train", "mlfound.runs.recorder", __name__]
DEATHS = ("while it downloads", "while it writes", None)


def trial(count: int, seed: int, folder: Path) -> Report:
    """A round has PROCESSES processes; which of them dies, and when, comes from the seed."""
    started = time.perf_counter()
    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOADED)
    made, failures = made_up(), []
    for number in range(count):
        rng = Random(f"{seed}-{number}")
        death = DEATHS[number % len(DEATHS)]
        with Round(made, folder / str(number)) as round_:
            try:
                round_.run(death, rng)
            except Exception as error:
                name = type(error).__name__
                failures.append(f"round {number}, one dies {death or 'never'}: {name}: {error}")
    note = f"{PROCESSES} processes a round; in two of three rounds the first is killed with the lock in its hands"
    return Report("processes", count, failures, seed, time.perf_counter() - started, note)


class Round:
    """One mirror, one empty data folder, one empty runs folder. Use it in a `with`."""

    def __init__(self, made: Made, folder: Path) -> None:
        self.made, self.folder = made, folder
        self.mirror = Mirror(made).start()
        self.dataset = made.at(self.mirror.url)
        self.lock = folder / "data" / "made" / ".lock"
        self.processes: list[BaseProcess] = []
        self.asked_by_the_dead = 0
        folder.mkdir()

    def __enter__(self) -> "Round":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.kill()
            process.join()
        self.mirror.stop()

    def run(self, death: str | None, rng: Random) -> None:
        if death:
            self.first_dies(death, rng)
        for number in range(len(self.processes), PROCESSES):
            self.start(number, TRAIN if number == PROCESSES - 1 else DOWNLOAD)
            time.sleep(rng.choice((0, 0, 0.01, 0.1)))
        if death == "while it downloads":  # and the others wait for it
            time.sleep(rng.uniform(0, 0.5))
            self.kill_first()
        for process in self.processes:
            process.join(PATIENCE_S)
        self.check(death)

    def first_dies(self, death: str, rng: Random) -> None:
        """Start the first process and let it take the lock; the others will find it there, or what it left."""
        self.mirror.fault = "drip" if death == "while it downloads" else None
        self.start(0, DOWNLOAD, dies_writing=death == "while it writes")
        if death == "while it writes":
            self.processes[0].join(PATIENCE_S)
        else:
            wait_until(lambda: self.mirror.asked)
        self.asked_by_the_dead = len(self.mirror.asked)
        self.mirror.fault = None

    def start(self, number: int, command: str, dies_writing: bool = False) -> None:
        process = multiprocessing.get_context("forkserver").Process(
            target=work, args=(self.dataset, self.folder, number, command, dies_writing)
        )
        process.start()
        self.processes.append(process)

    def kill_first(self) -> None:
        assert not free(self.lock), "the first does not hold the lock"
        self.processes[0].kill()

    def check(self, death: str | None) -> None:
        codes = [process.exitcode for process in self.processes]
        lived = [number for number, code in enumerate(codes) if code == 0]
        texts = {number: (self.folder / f"{number}.txt").read_text() for number in range(PROCESSES)}
        said = [texts[number][-300:] for number in range(PROCESSES) if number not in lived]
        assert codes == [-signal.SIGKILL if death else 0] + [0] * (PROCESSES - 1), f"{codes} {said}"
        there = {path.name: path.read_bytes() for path in self.lock.parent.iterdir() if path.name != ".lock"}
        assert there == self.made.raws, f"the copy is not the one good one: {sorted(there)}"
        assert free(self.lock), "a dead lock"
        asked = self.mirror.asked[self.asked_by_the_dead :]
        assert len(set(asked)) == len(asked), f"downloaded more than once: {asked}"
        runs = {path.name for path in (self.folder / "runs").iterdir() if not path.is_symlink()}
        named = [Path(texts[number].splitlines()[-1]).name for number in lived]
        assert sorted(named) == sorted(runs), f"not a folder for each: {named}, {runs}"
        for run in runs:
            facts = json.loads((self.folder / "runs" / run / "run.json").read_text())
            assert (facts["id"], facts["status"]) == (run, "completed"), f"{run} is {facts['status']}"
        assert (self.folder / "runs" / "latest").resolve().name in runs, "latest leads nowhere"


def free(lock: Path) -> bool:
    try:
        with FileLock(lock, blocking=False):
            return True
    except Timeout:
        return False


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.01)


def work(dataset: Dataset, folder: Path, number: int, command: str, dies_writing: bool) -> None:
    """What a process does: the command, its words into a file; or only up to the first write to the cache."""
    descriptor = os.open(folder / f"{number}.txt", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.chdir(folder)
    registry.DATASETS[dataset.name] = dataset  # type: ignore[index]  (this process is ours alone)
    if dies_writing:
        os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
    app([*command.split(), "--quiet", "--data-dir", "data"], prog_name="mlfound")
