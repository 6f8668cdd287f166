"""SIGINT and SIGTERM at random moments: the run ends within two seconds, says so, and is resumed to the same bits."""

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from itertools import product
from pathlib import Path

from tests.faults import shim
from tests.faults.commands import Commands
from tests.faults.report import Report
from tests.faults.training import IN_TURN, Training

SECONDS = 2.0
STARTING_S, FINISHING_S = 0.3, 2.0  # how long after the first line, and after the last epoch, at most
ROWS = (12, 16, 12, 16)  # of metrics.jsonl in the end


def trial(count: int, seed: int, folder: Path) -> Report:
    """`count` signals in each phase, of the two in turn; two runs of each config, and so on."""
    started = time.perf_counter()
    failures, seen, slowest = [], Counter[str](), 0.0
    cases = {"starting": starting, "training": training, "finishing": finishing}
    with Commands(folder, shim.build(folder), folder / "disk") as commands:
        trainings = [Training(commands, *settings) for settings in IN_TURN]
        for number, (turn, phase) in product(range(count), enumerate(cases)):
            which, name = number // 2 % len(trainings), ("SIGINT", "SIGTERM")[(number + turn) % 2]
            chance = random.Random(f"{seed}-{number}-{phase}")
            try:
                seconds, word = cases[phase](trainings[which], ROWS[which], signal.Signals[name], chance)
                slowest = max(slowest, seconds)
                seen[f"{phase}: {word}"] += 1
            except Exception as error:
                failures.append(f"case {number}, {name}, {phase}: {type(error).__name__}: {error}")
            trainings[which].forget()
    words = ", ".join(f"{times:,} {word}" for word, times in sorted(seen.items()))
    note = f"{words}; the slowest ended {slowest:.2f} s after the signal"
    return Report("signals", len(cases) * count, failures, seed, time.perf_counter() - started, note)


def starting(run: Training, rows: int, number: signal.Signals, chance: random.Random) -> tuple[float, str]:
    """A process of its own, soon after its first line: it ends without a word, and nothing is begun."""
    command = [sys.executable, "-m", "mlfound", *run.order()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        while not listed("SigCgt", process.pid, signal.SIGTERM):  # Python itself does not catch it
            time.sleep(0.001)
        time.sleep(chance.uniform(0, STARTING_S))
        sent = time.perf_counter()
        process.send_signal(number)
        said = process.communicate(timeout=60)[0]
        seconds = time.perf_counter() - sent
    assert (process.returncode, said) == (128 + number, ""), f"exit code {process.returncode}: {said[-600:]}"
    assert seconds < SECONDS, f"ended after {seconds:.2f} s"
    assert not run.runs_dir.exists(), "a folder is left"
    return seconds, "in time"


def listed(kind: str, process: int, number: signal.Signals) -> bool:
    """Whether the signal is among those that the process catches (SigCgt), or ignores (SigIgn)."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    [numbers] = (line.split()[1] for line in lines if line.startswith(kind))
    return bool(int(numbers, 16) >> (number - 1) & 1)


def training(run: Training, rows: int, number: signal.Signals, chance: random.Random) -> tuple[float, str]:
    """Somewhere from its beginning to its end; where it came too late, a shorter while is tried."""
    for while_s in (chance.uniform(0, run.from_then / part) for part in (1, 2, 4, 8)):
        run.forget()
        run.commands.start(*run.order())
        run.wait_for_run()
        time.sleep(while_s)
        seconds, word = interrupt(run, number)
        if word == "interrupted":
            break
    return seconds, word


def finishing(run: Training, rows: int, number: signal.Signals, chance: random.Random) -> tuple[float, str]:
    """After the last epoch, when what was found is written and drawn."""
    run.commands.start(*run.order(), pictures=True)
    run.wait_for_rows(run.wait_for_run(), rows)
    time.sleep(chance.uniform(0, FINISHING_S))
    return interrupt(run, number)


def interrupt(run: Training, number: signal.Signals) -> tuple[float, str]:
    """Send the signal: how long the run takes to end, and as what. It is complete, or is resumed to that."""
    sent = time.perf_counter()
    run.commands.send(number)
    ended = run.commands.end()
    seconds = time.perf_counter() - sent
    assert not ended.err, ended.err[-600:]
    assert ended.code in (0, 128 + number), f"exit code {ended.code}"
    assert seconds < SECONDS, f"ended after {seconds:.2f} s"
    folder = run.wait_for_run()
    status = json.loads((folder / "run.json").read_text())["status"]
    if status != "completed":
        assert (status, ended.code) == ("interrupted", 128 + number), f"{status}, exit code {ended.code}"
        run.resume()
    run.check()
    assert (folder / "report.html").exists(), "no page"
    return seconds, status if ended.code else "too late"
