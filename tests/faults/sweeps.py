"""Workers of a sweep are killed at random moments: every cell once, with the figures of an undisturbed sweep."""

import csv
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tests.faults.report import Report

GRID = (
    "data.dataset=mnist-sample", "epochs=8", "checkpoint.seconds=0", "optimizer.lr=0.05,0.1", "--seeds", "0-4",
    "--no-plots", "--quiet",
)  # fmt: skip
TIMELESS = ("cell", "seed", "status", "valid_loss", "valid_accuracy", "test_accuracy")
MOST_SECONDS = 4.0  # between two kills: some come while a worker starts, most in the middle of a cell


def trial(count: int, seed: int, folder: Path) -> Report:
    """`count` kills, in as many sweeps as it takes."""
    began, chance, failures, killed, sweeps = time.perf_counter(), random.Random(seed), list[str](), 0, 0
    run(start(folder, "undisturbed"))
    wanted = figures(folder / "undisturbed")
    while killed < count:
        sweeps += 1
        place = f"{sweeps}"
        process = start(folder, place)
        while process.poll() is None and killed < count:
            time.sleep(chance.uniform(0.2, MOST_SECONDS))
            workers = children(process.pid)
            if workers and process.poll() is None:
                with suppress(ProcessLookupError):
                    os.kill(chance.choice(workers), signal.SIGKILL)
                    killed += 1
        if (
            run(process) != 0
        ):  # a cell that was killed three times counts as failed, and is done again like this
            run(start(folder, place, "--resume", "latest"))
        found, folders = figures(folder / place), list((folder / place).glob("2*/cells/2*"))
        if found != wanted:
            failures.append(f"sweep {sweeps}: other figures")
        if len(folders) != len(wanted):
            failures.append(f"sweep {sweeps}: {len(folders)} folders of {len(wanted)} cells")
    note = f"{killed} workers killed in {sweeps} sweeps of {len(wanted)} cells"
    return Report("sweeps", killed, failures, seed, time.perf_counter() - began, note)


def start(folder: Path, place: str, *words: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "mlfound", "sweep", *(words or GRID), "--jobs", "2", "--runs-dir", place]
    options = ["--quiet", "--no-plots"] if words else []
    return subprocess.Popen(
        [*command, *options], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def run(process: "subprocess.Popen[bytes]") -> int:
    return process.wait(timeout=600)


def children(pid: int) -> list[int]:
    """The workers of a sweep, and not what multiprocessing needs besides."""
    found = []
    with suppress(OSError):
        for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
    return found


def figures(runs: Path) -> list[list[str]]:
    """Of each cell, but for how long it took and where it is."""
    [table] = runs.glob("2*/tables/cells.csv")
    with table.open(newline="") as file:
        return [[row[name] for name in TIMELESS] for row in csv.DictReader(file)]
