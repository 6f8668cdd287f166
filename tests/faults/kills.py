"""kill -9 at random moments and in random writes, also while it resumes: the run still ends in the same bits."""

import random
import signal
import time
from collections import Counter
from pathlib import Path

from tests.faults import shim
from tests.faults.commands import Commands
from tests.faults.report import Report
from tests.faults.training import IN_TURN, Training


def trial(count: int, seed: int, folder: Path) -> Report:
    """Each run is killed one to three times; the configs take turns."""
    started = time.perf_counter()
    failures, seen = [], Counter[str]()
    with Commands(folder, shim.build(folder), folder / "disk") as commands:
        trainings = [Training(commands, *settings) for settings in IN_TURN]
        for number in range(count):
            training = trainings[number % len(trainings)]
            try:
                seen.update(case(training, random.Random(f"{seed}-{number}")))
            except Exception as error:
                failures.append(f"case {number}: {type(error).__name__}: {error}")
            training.forget()
    note = ", ".join(f"{times:,} {word}" for word, times in seen.most_common())
    return Report("kills", count, failures, seed, time.perf_counter() - started, note)


def case(training: Training, chance: random.Random) -> list[str]:
    """A run, its deaths, and its end; a word for each death. It dies at least once."""
    words: list[str] = []
    for _ in range(chance.choice([1, 1, 2, 3])):
        while (word := kill(training, chance)) == "too late" and not words:
            training.forget()
        words.append(word)
    training.resume()
    training.check()
    return words


def kill(training: Training, chance: random.Random) -> str:
    """Begin or resume the run, and kill it: before or halfway through a file call, or when some time has passed."""
    commands = training.commands
    where = chance.choice(["before a file call", "within a write", "at a moment"])
    if where == "before a file call":
        nth = chance.randint(1, training.calls * 3 // 4)
        ended = commands.run(*training.order(), nth=nth, kind=shim.KILL)
    elif where == "within a write":
        nth = chance.randint(1, training.writes * 3 // 4)
        ended = commands.run(*training.order(), nth=nth, kind=shim.KILL_IN_WRITE)
    else:
        commands.start(*training.order())
        time.sleep(chance.uniform(0, training.until_begun + training.from_then))
        commands.send(signal.SIGKILL)
        ended = commands.end()
    assert ended.code in (0, -signal.SIGKILL), f"exit code {ended.code}: {ended.err[-600:]}"
    if ended.code == 0:
        return "too late"
    return f"killed {where}" if training.run() else "killed before it began"
