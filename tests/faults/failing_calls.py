"""A disk that fails at the n-th file call of a training run: it ends with a line, and goes on to the same bits."""

import random
import time
from collections import Counter
from pathlib import Path

from mlfound.runs.checkpoints import Checkpoints
from tests.faults import shim
from tests.faults.commands import Commands
from tests.faults.report import Report
from tests.faults.training import SHORT, Training

FAULTS = {"input/output error": shim.EIO, "disk full": shim.FULL_DISK, "short write": shim.SHORT_WRITE}


def trial(count: int, seed: int, folder: Path) -> Report:
    """`count` faults of a run of three epochs, or all there are: every call can fail, every write be short."""
    started = time.perf_counter()
    failures, seen = [], Counter[str]()
    with Commands(folder, shim.build(folder), folder / "disk") as commands:
        training = Training(commands, *SHORT)
        chance = random.Random(seed)
        cases = [
            (nth, name)
            for name, kind in FAULTS.items()
            for nth in range(1, (training.writes if kind == shim.SHORT_WRITE else training.calls) + 1)
        ]
        some = sorted(chance.sample(cases, min(count, len(cases))))
        for nth, name in some:
            try:
                seen[case(training, nth, FAULTS[name])] += 1
            except Exception as error:
                failures.append(f"{name}, {nth}: {type(error).__name__}: {error}")
            training.forget()
    words = ", ".join(f"{times:,} {word}" for word, times in seen.most_common())
    note = f"of {training.calls} calls, {training.writes} of them writes: {words}"
    return Report("failing-calls", len(some), failures, seed, time.perf_counter() - started, note)


def case(training: Training, nth: int, kind: int) -> str:
    """One run with a fault, and what follows: the disk has recovered then."""
    ended = training.commands.run(*training.order(), nth=nth, kind=kind)
    if ended.code == 0:
        assert len(ended.err.splitlines()) <= 1, ended.err  # a report that could not be written
        training.check()
        return "went on"
    assert kind != shim.SHORT_WRITE, f"a short write is to be continued: {ended.err}"
    training.check_refusal(ended)
    run = training.run()
    if run is not None:
        told: list[str] = []
        newest = Checkpoints(run / "checkpoints", run.name).newest(told.append)
        assert not told, told
        rows = (run / "metrics.jsonl").read_bytes() if (run / "metrics.jsonl").exists() else b""
        uncounted = rows[newest.facts["metrics"]["bytes"] :] if newest else rows
        assert uncounted.count(b"\n") <= 1, "a checkpoint is lost"
    training.resume()
    training.check()
    return "ended with a line and was resumed" if run else "never began"
