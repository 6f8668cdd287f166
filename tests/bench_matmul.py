"""Can matmul-bench be believed? Real runs of it, compared with one another, some slowed down on purpose.

No test: machines have moods. `make bench` runs it; it takes some minutes.
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

from mlfound.experiments.matmul_compare import MOOD, spread
from mlfound.foundations.matmul import MATMULS
from mlfound.timing import measure

SELF_COMPARISONS, SLOW_DOWNS = 20, 10
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
from mlfound.experiments.matmul_compare import MOOD, spread
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


def agreement(runs: Sequence[dict[str, list[float]]]) -> None:
    """How far the runs' medians lie apart, also in units of the replicates' spread: what MOOD stands for."""
    for impl in runs[0]:
        medians = [median(run[impl]) for run in runs]
        apart = [abs(other / medians[0] - 1) for other in medians[1:]]
        between = stdev(map(math.log, medians)) / median(spread(run[impl]) for run in runs)
        print(
            f"  {impl:15} relative medians apart by {median(apart):.1%}, at most {max(apart):.1%} (wanted 10%); "
            f"between runs {between:.2f} of the spread within (MOOD {MOOD})"
        )


def against_torch_mm() -> None:
    torch.set_num_threads(1)
    a, b = torch.rand(5, 784), torch.rand(784, 10)
    rungs = {"rung": partial(MATMULS["matmul"], a, b), "bare": partial(torch.mm, a, b)}
    timings = measure(rungs, budget=5.0)
    ratio = timings["rung"].median / timings["bare"].median
    print(
        f"the @ rung / a bare torch.mm, 5x784x10: {ratio:.3f} (n {timings['rung'].n}); wanted within 0.95 to 1.05"
    )


def main() -> None:
    against_torch_mm()
    with TemporaryDirectory() as folder:
        here = ("--runs-dir", folder)
        first = run(("-m", "mlfound"), *BENCH, *here)
        runs, false_alarms = [relative_samples(first)], 0
        for _ in range(SELF_COMPARISONS):
            path = run(("-m", "mlfound"), *BENCH, *here, "--compare", str(first))
            runs.append(relative_samples(path))
            slower = [row for row in table(path, "comparison") if row["verdict"] == "slower"]
            false_alarms += bool(slower)
            for row in slower:
                print(
                    f"  false alarm: {row['impl']} {row['ratio']} ({row['ratio_low']} to {row['ratio_high']})"
                )
        print(f"compared with itself: {false_alarms} of {SELF_COMPARISONS} say slower; wanted at most 1")
        agreement(runs)

        found = 0
        for trial in range(SLOW_DOWNS):
            impl = SLOWABLE[trial % len(SLOWABLE)]
            path = run(("-c", SLOWED), impl, *BENCH, *here, "--compare", str(first))
            found += [row["impl"] for row in table(path, "comparison") if row["verdict"] == "slower"] == [
                impl
            ]
        print(
            f"slowed down by 20%: found, and nothing else, {found} times in {SLOW_DOWNS}; wanted every time"
        )


if __name__ == "__main__":
    main()
