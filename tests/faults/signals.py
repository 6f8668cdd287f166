"""SIGINT and SIGTERM at random moments: the run ends within two seconds, says so, and is resumed to the same bits."""

import json
import random
import signal
import time
from collections import Counter
from pathlib import Path

from tests.faults import shim
from tests.faults.commands import Commands
from tests.faults.report import Report
from tests.faults.training import ONE, TWO, Training

SECONDS = 2.0


def trial(count: int, seed: int, folder: Path) -> Report:
    """`count` runs that get a SIGINT, and as many that get a SIGTERM; every second one trains two networks."""
    started = time.perf_counter()
    failures, seen, slowest = [], Counter[str](), 0.0
    with Commands(folder, shim.build(folder), folder / "disk") as commands:
        trainings = [Training(commands, *ONE), Training(commands, *TWO)]
        for number in range(2 * count):
            training, name = trainings[number // 2 % 2], ("SIGINT", "SIGTERM")[number % 2]
            try:
                seconds, word = case(training, signal.Signals[name], random.Random(f"{seed}-{number}"))
                slowest = max(slowest, seconds)
                seen[f"{name} {word}"] += 1
            except Exception as error:
                failures.append(f"case {number}, {name}: {type(error).__name__}: {error}")
            training.forget()
    words = ", ".join(f"{times:,} {word}" for word, times in seen.most_common())
    note = f"{words}; the slowest ended {slowest:.2f} s after the signal"
    return Report("signals", 2 * count, failures, seed, time.perf_counter() - started, note)


def case(training: Training, number: signal.Signals, chance: random.Random) -> tuple[float, str]:
    """One run: how long it took to end, and whether the signal came in time; if not, a shorter while is tried."""
    for while_s in (chance.uniform(0, training.from_then / part) for part in (1, 2, 4, 8)):
        training.forget()
        training.commands.start(*training.order())
        run = training.wait_for_run()
        time.sleep(while_s)
        sent = time.perf_counter()
        training.commands.send(number)
        ended = training.commands.end()
        seconds = time.perf_counter() - sent
        assert "Traceback" not in ended.err, ended.err[-600:]
        assert ended.code in (0, 128 + number), f"exit code {ended.code}: {ended.err[-600:]}"
        assert seconds < SECONDS, f"ended after {seconds:.2f} s"
        status = json.loads((run / "run.json").read_text())["status"]
        if status != "completed":
            assert (status, ended.code) == ("interrupted", 128 + number), f"{status}, exit code {ended.code}"
            training.resume()
            training.check()
            return seconds, "in time"
        training.check()
    return seconds, "too late"
