"""Workers that cannot be forked, are killed or are stopped, each of them: the run ends at once and goes on later."""

import os
import random
import re
import signal
import time
from collections import Counter
from contextlib import suppress
from itertools import product
from pathlib import Path

from tests.faults import shim
from tests.faults.commands import CORES, Commands
from tests.faults.report import Report
from tests.faults.signals import listed
from tests.faults.training import ADAM, Training

EPOCHS = 6
THREE = (
    f"epochs={EPOCHS}",
    "data.train_rows=1500",
    "model.hidden=[30]",
    f"replicates={CORES}",
    "model.dropout=0.1",
)
SECONDS = 2.0
FAULTS = ("fork", "KILL", "STOP, Ctrl-C", "STOP, Ctrl-C twice", "STOP, parent KILL")
PHASES = ("in a step", "before the first step", "at the end")
PLACES = list(product(PHASES, range(1, CORES + 1)))


def trial(count: int, seed: int, folder: Path) -> Report:
    """Every fault of every worker in every phase in turn."""
    started = time.perf_counter()
    failures, seen, slowest = [], Counter[str](), 0.0
    with Commands(folder, shim.build(folder), folder / "disk") as commands:
        trainings = [Training(commands, *THREE), Training(commands, *THREE, *ADAM)]
        for number in range(count):
            around, kind = divmod(number, len(FAULTS))
            fault, (phase, position) = FAULTS[kind], PLACES[(around + kind) % len(PLACES)]
            training = trainings[around % 2]
            chance = random.Random(f"{seed}-{number}")
            try:
                seconds, word = case(training, fault, position, phase, chance)
                slowest = max(slowest, seconds)
                seen[f"{fault} {word}"] += 1
            except Exception as error:
                where = f"{fault}, worker {position}, {phase}"
                failures.append(f"case {number}, {where}: {type(error).__name__}: {error}")
                if commands.child is not None:
                    commands.send(signal.SIGKILL)
                    commands.end()
            training.forget()
    words = "; ".join(f"{times:,} {word}" for word, times in seen.most_common())
    note = f"{words}; the slowest ended {slowest:.2f} s after the fault"
    return Report("workers", count, failures, seed, time.perf_counter() - started, note)


def case(
    training: Training, fault: str, position: int, phase: str, chance: random.Random
) -> tuple[float, str]:
    """One run: how long it took to end, and whether the fault came in time; if not, it is tried again."""
    commands = training.commands
    for _ in range(8):
        training.forget()
        if fault == "fork":
            ended, seconds = commands.run(*training.order(), nth=position, kind=shim.FAIL_FORK), 0.0
            reason = f"process {position} of {CORES} could not be started (Resource temporarily unavailable)"
        else:
            commands.start(*training.order())
            started = time.perf_counter()
            with suppress(FileNotFoundError, ProcessLookupError):  # it has ended by then
                started = disturb(commands, workers(training, phase, chance)[position - 1], fault)
            ended, seconds = commands.end(), time.perf_counter() - started
            reason = "a process that trained some of the networks has ended"
        gone(commands)
        if ended.code == 0:
            training.check()
            continue
        assert seconds < SECONDS, f"ended after {seconds:.2f} s"
        run = training.run()
        if fault in ("fork", "KILL"):
            line = f"mlfound: {re.escape(reason)}.*; mlfound train --resume {run} goes on from here\n"
            assert (ended.code, bool(re.fullmatch(line, ended.err))) == (1, True), (
                f"{ended.code}: {ended.err}"
            )
        else:
            code = -signal.SIGKILL if fault == "STOP, parent KILL" else 128 + signal.SIGINT
            assert (ended.code, ended.err) == (code, ""), f"{ended.code}: {ended.err}"
        training.resume()
        training.check()
        return seconds, "in time"
    return seconds, "too late"


def workers(training: Training, phase: str, chance: random.Random) -> list[int]:
    """The process numbers of the workers, in the order of their start, once the run is in this phase."""
    run = training.wait_for_run()
    if phase == "in a step":
        training.wait_for_rows(run, CORES)
        time.sleep(chance.uniform(0, training.from_then / 3))
    elif phase == "at the end":
        training.wait_for_rows(run, (EPOCHS - 1) * CORES)
    parent = training.commands.pid
    for _ in range(30_000):
        found = sorted(map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split()))
        if len(found) == CORES:
            return found
        time.sleep(0.001)
    raise TimeoutError("no workers")


def disturb(commands: Commands, worker: int, fault: str) -> float:
    """Do it to the worker, and what follows to its parent; the time when that began."""
    while fault == "STOP, parent KILL" and not listed("SigIgn", worker, signal.SIGTERM):
        time.sleep(0.001)  # it has yet to say that it wants to die with its parent
    started = time.perf_counter()
    os.kill(worker, signal.SIGKILL if fault == "KILL" else signal.SIGSTOP)
    if fault == "STOP, parent KILL":
        commands.send(signal.SIGKILL)
    elif fault != "KILL":
        commands.send(signal.SIGINT)
    if fault == "STOP, Ctrl-C twice":
        time.sleep(0.2)
        commands.send(signal.SIGINT)
    return started


def gone(commands: Commands) -> None:
    """Nothing of the command is left; what was killed takes a moment to go."""
    deadline = time.monotonic() + SECONDS
    while commands.alive():
        if time.monotonic() > deadline:
            os.killpg(commands.pid, signal.SIGKILL)
            raise AssertionError("a process is left")
        time.sleep(0.005)
