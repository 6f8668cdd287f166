"""Can matmul-bench be believed? Real runs of it, compared with one another, some slowed down on purpose.

Half of what `make bench` takes.
"""

import csv
import math
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median, stdev
from tempfile import TemporaryDirectory

import torch

from mlfound.experiments.matmul.compare import DRIFT, spread
from mlfound.foundations.matmul import MATMULS
from mlfound.stats.timing import measure, quartiles
from tests.bench.row import Row, Rows

SELF_COMPARISONS, SLOW_DOWNS = 8, 5
SLOWABLE = (
    "python",
    "dot",
    "broadcast",
    "einsum-by-hand",
    "einsum",
)  # of over 10 microseconds, and often replicated
BENCH = ("matmul-bench", "--budget", "1", "--quiet")

# Runs the command line with one rung made 20% slower, call by call.
SLOWED = """
import sys, time
from mlfound.foundations.matmul import MATMULS
name = sys.argv.pop(1)
whole = MATMULS[name]
def slowed(a, b):
    start = time.perf_counter()
    c = whole(a, b)
    end = start + 1.2 * (time.perf_counter() - start)
    while time.perf_counter() < end:
        pass
    return c
MATMULS[name] = slowed
from mlfound.cli import main
main()
"""


def run(program: Sequence[str], *arguments: str) -> Path:
    done = subprocess.run([sys.executable, *program, *arguments], check=True, capture_output=True, text=True)
    return Path(done.stdout.splitlines()[-1])


def table(path: Path, name: str) -> list[dict[str, str]]:
    with (path / "tables" / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def relative_samples(path: Path) -> dict[str, list[float]]:
    """By rung, in calibration kernels; the rungs of over 10 microseconds."""
    rows: dict[str, list[tuple[float, float]]] = {}
    for row in table(path, "replicates"):
        rows.setdefault(row["impl"], []).append((float(row["seconds"]), float(row["calibration_s"])))
    return {
        impl: [own / kernel for own, kernel in pairs]
        for impl, pairs in rows.items()
        if median(own for own, _ in pairs) > 10e-6
    }


def against_torch_mm() -> Row:
    torch.set_num_threads(1)
    a, b = torch.rand(5, 784), torch.rand(784, 10)
    rungs = {"rung": partial(MATMULS["matmul"], a, b), "bare": partial(torch.mm, a, b)}
    times = measure(rungs, budget=5.0)
    ratios = times["bare"].times_as_fast_as(times["rung"])
    return Row(
        "the @ rung / a bare torch.mm, 5x784x10",
        median(ratios),
        (0.95, 1.05),
        len(ratios),
        quartiles(ratios),
    )


def agreement(runs: Sequence[dict[str, list[float]]]) -> Row:
    """How far the runs' medians lie apart, also in units of the replicates' spread, as DRIFT is."""
    typical = []
    for impl in runs[0]:
        medians = [median(run[impl]) for run in runs]
        typical.append(median(abs(other / medians[0] - 1) for other in medians[1:]))
        between = stdev(map(math.log, medians)) / median(spread(run[impl]) for run in runs)
        print(f"  {impl}: between runs {between:.2f} of the spread within (DRIFT {DRIFT})", file=sys.stderr)
    what = "how far the medians of two runs of one build lie apart, typically, of the worst rung"
    return Row(what, max(typical), (0.0, 0.1), len(runs) - 1)


def rows() -> Rows:
    yield against_torch_mm()
    with TemporaryDirectory() as folder:
        here = ("--runs-dir", folder)
        first = run(("-m", "mlfound"), *BENCH, *here)
        runs, false_alarms = [relative_samples(first)], 0
        for _ in range(SELF_COMPARISONS):
            path = run(("-m", "mlfound"), *BENCH, *here, "--compare", str(first))
            runs.append(relative_samples(path))
            false_alarms += bool(slower(path))
        yield Row("matmul-bench --compare with itself says slower", false_alarms, (0, 1), SELF_COMPARISONS)
        yield agreement(runs)

        found = 0
        for trial in range(SLOW_DOWNS):
            impl = SLOWABLE[trial % len(SLOWABLE)]
            found += slower(run(("-c", SLOWED), impl, *BENCH, *here, "--compare", str(first))) == [impl]
        yield Row(
            "a rung slowed down by 20% is found, and no other", found, (SLOW_DOWNS, SLOW_DOWNS), SLOW_DOWNS
        )


def slower(path: Path) -> list[str]:
    """The rungs that a comparison calls so."""
    return [row["impl"] for row in table(path, "comparison") if row["verdict"] == "slower"]
