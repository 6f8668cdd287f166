"""Power cuts while a run writes checkpoints: what `write` had returned is found, or what it was just writing.

As a program it is the run that is recorded: `python -m tests.faults.lost_writes store|recorder ROOT LOG COUNT`.
"""

import io
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

from rich.console import Console

from mlfound.config.training import TrainConfig
from mlfound.errors import UserError
from mlfound.files import remove_debris
from mlfound.runs.checkpoints import Checkpoints
from mlfound.runs.recorder import RunRecorder
from mlfound.runs.resume import ResumedRecorder
from mlfound.runs.run import Screen
from tests.faults import shim
from tests.faults.power_cuts import Tree, lay_out, states
from tests.faults.report import Report
from tests.faults.states import same, state

KEEP, BEST = 2, 2  # the second stays, as the best one
MACHINE = {"cpu": "a processor", "packages": {"mlfound": "0.1.0", "torch": "2.6"}}
DATASET = {"name": "mnist", "digest": "0" * 64}


def trial(count: int, seed: int, folder: Path) -> Report:
    """Every state of a store that writes `count` checkpoints, and of a run that writes two or three, resumed once."""
    started = time.perf_counter()
    library = shim.build(folder)
    failures, cases, notes = [], 0, []
    written = {"store": count, "recorder": 3 if count > 5 else 2}
    recordings = {what: record(what, number, folder, library) for what, number in written.items()}
    for what, recording in recordings.items():
        assert recording.wait() == 0, f"the {what} was not recorded"
        before = cases
        for mark, tree in states((folder / f"{what}.log").read_bytes(), folder / what):
            cases += 1
            if failure := case(CHECKS[what], tree, mark, folder / "state"):
                failures.append(f"{what}, state {cases - before}, {mark} returned: {failure}: {sorted(tree)}")
        notes.append(f"{cases - before:,} states of {written[what]} checkpoints written by the {what}")
    return Report("lost-writes", cases, failures, seed, time.perf_counter() - started, ", ".join(notes))


def record(what: str, number: int, folder: Path, library: Path) -> subprocess.Popen[bytes]:
    """The process that writes so many checkpoints, its file calls recorded."""
    root = folder / what
    root.mkdir()
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.lost_writes", what, root, folder / f"{what}.log", str(number)],
        env=shim.environment(library, root),
        cwd=Path(__file__).parent.parent.parent,
    )


def case(check: Callable[[Path, int], None], tree: Tree, returned: int, place: Path) -> str:
    """What is wrong when this state is found; empty if nothing is."""
    lay_out(tree, place)
    try:
        with patch("os.fsync"):  # what is checked here is what is found, not what is kept
            check(place, returned)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        shutil.rmtree(place)
    return ""


def check_store(place: Path, returned: int) -> None:
    """The last checkpoint that was durable, or the next; and another can be written."""
    store = Checkpoints(place / "checkpoints", "a-run")
    told: list[str] = []
    found = store.newest(told.append)
    assert not told, told
    check_found(found, returned)
    remove_debris(store.folder)
    store.write(state(99), KEEP)
    assert same(store.newest(told.append), state(99))
    left = sorted(path.name for path in store.folder.iterdir())
    assert len(left) <= 2 * (KEEP + 1), f"debris: {left}"


def check_recorder(place: Path, returned: int) -> None:
    """The run can be resumed with the rows of its checkpoint; refused in a line only before the first one."""
    try:
        [run] = [path for path in place.iterdir() if path.is_dir()] or [place / "never-begun"]
        with ResumedRecorder(run, Screen()) as recorder:
            recorder.environment = MACHINE
            check_found(recorder.last, returned)
            step = recorder.last.facts["step"] if recorder.last else 0
            assert recorder.rows == [{"epoch": epoch} for epoch in range(1, step + 1)], recorder.rows
            recorder.begin(TrainConfig())
            recorder.progress("training", 1, 2)
            recorder.metrics([{"epoch": step + 1}], "an epoch")
            recorder.checkpoint(state(99), KEEP)
        with ResumedRecorder(run, Screen()) as recorder:
            assert same(recorder.last, state(99))
            assert len(recorder.rows) == step + 1
    except UserError:
        if returned:
            raise


def check_found(found, returned: int) -> None:
    step = found.facts["step"] if found else 0
    assert step in (returned, returned + 1), f"found {step}"
    assert found is None or same(found, state(step)), "not as it was written"


CHECKS = {"store": check_store, "recorder": check_recorder}


def write_store(root: Path, count: int, mark) -> None:
    store = Checkpoints(root / "checkpoints", "a-run")
    for step in range(1, count + 1):
        store.write(state(step), KEEP, best=step == BEST)
        mark(step)


def write_run(root: Path, count: int, mark) -> None:
    """A run that is broken off behind its first checkpoint and resumed."""
    for steps in (range(1, 2), range(2, count + 1)):
        console = Console(file=io.StringIO())
        if steps[0] == 1:
            recorder = RunRecorder("train", root, None, Screen(console))
        else:
            recorder = ResumedRecorder(recorder.path, Screen(console))
        recorder.environment = MACHINE
        with recorder:
            recorder.begin(TrainConfig(), dataset=DATASET)
            for step in steps:
                recorder.progress("training", step, count)
                recorder.metrics([{"epoch": step}], "an epoch")
                recorder.checkpoint(state(step), KEEP, best=step == BEST)
                mark(step)
            recorder.metrics([{"epoch": step + 1}], "an epoch")


if __name__ == "__main__":
    what, root, log, count = sys.argv[1:]
    recording = shim.loaded()
    recording.faults_record(os.fsencode(log))
    {"store": write_store, "recorder": write_run}[what](Path(root), int(count), recording.faults_mark)
