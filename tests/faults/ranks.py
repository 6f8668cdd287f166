"""kill -9 of a rank at a random moment: the run ends, says why, and a resumed one ends in the same bits."""

import random
import shutil
import time
from collections import Counter
from pathlib import Path

from mlfound.runs.status import read_facts
from tests.faults.report import Report
from tests.faults.training import metrics
from tests.support.torchrun import Torchrun, begun, wait_until

SETTINGS = (
    "data.dataset=mnist-sample",
    "checkpoint.seconds=0",
    "epochs=60",
    "model.hidden=[200]",
    "model.dropout=0.1",
)
TRAIN = ("train", *SETTINGS, "--quiet", "--no-plots")


def trial(count: int, seed: int, folder: Path) -> Report:
    """Two ranks and three in turn; which of them is killed, and when, comes from the seed."""
    started = time.perf_counter()
    failures, seen, wanted = [], Counter[str](), dict[int, tuple[object, object]]()
    for number in range(count):
        ranks, chance = 2 + number % 2, random.Random(f"{seed}-{number}")
        if ranks not in wanted:
            wanted[ranks] = undisturbed(folder, ranks)
        try:
            seen.update([case(folder, ranks, wanted[ranks], chance)])
        except Exception as error:
            failures.append(f"case {number}: {type(error).__name__}: {error}")
        shutil.rmtree(folder / "runs", ignore_errors=True)
    note = ", ".join(f"{times:,} {word}" for word, times in seen.most_common())
    return Report("ranks", count, failures, seed, time.perf_counter() - started, note)


def results(run: Path) -> tuple[object, object]:
    return (run / "model.safetensors").read_bytes(), metrics(run)


def undisturbed(folder: Path, ranks: int) -> tuple[object, object]:
    """What every run of so many ranks must come to."""
    with Torchrun(folder, ranks, *TRAIN) as torchrun:
        code, out, err = torchrun.end()
    assert code == 0, err
    found = results(folder / out.strip())
    shutil.rmtree(folder / "runs")
    return found


def case(folder: Path, ranks: int, wanted: tuple[object, object], chance: random.Random) -> str:
    """A run, the death of a rank, and its end; which rank it was."""
    victim, runs = chance.randrange(ranks), folder / "runs"
    with Torchrun(folder, ranks, *TRAIN) as torchrun:
        torchrun.wait_for_ranks()
        wait_until(lambda: begun(runs))
        time.sleep(chance.uniform(0, 2))
        try:
            torchrun.kill(victim)
        except ProcessLookupError:
            return "too late"
        code, _, err = torchrun.end()
    run = begun(runs)
    status = read_facts(run)["status"]
    assert code == 1, f"exit code {code}"
    if status != "completed":
        assert status == ("failed" if victim else "crashed"), (
            f"rank {victim} of {ranks} was killed: {status} {err}"
        )
        said = [line for line in err if f"rank {victim}" in line or ("or" in line and "has ended" in line)]
        assert len(err) == len(said) == 1, f"rank {victim} of {ranks} was killed: {err}"
        with Torchrun(folder, ranks, "train", "--resume", str(run), "--quiet", "--no-plots") as torchrun:
            code, _, err = torchrun.end()
        assert code == 0, f"resumed: exit code {code}: {err}"
    assert results(run) == wanted, "other bits"
    return f"rank {victim} killed" if status != "completed" else "too late"
