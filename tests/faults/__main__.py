"""What `make faults` runs: every trial at its full length, and a table of what was found."""

import argparse
import signal
import sys
import tempfile
from pathlib import Path
from unittest import SkipTest

from tests.faults import (
    damaged_checkpoints,
    data_files,
    disks,
    downloads,
    failing_calls,
    kills,
    lacking_disks,
    lost_writes,
    names,
    odd_directives,
    odd_run_folders,
    pickles,
    processes,
    ranks,
    repeats,
    signals,
    sweeps,
    workers,
    yaml_files,
)
from tests.faults.report import Report, Trial

# name: the trial, its count in `make faults`, its count in `make test`
TRIALS: dict[str, tuple[Trial, int, int]] = {
    "data-files": (data_files.trial, 20_000, 5_000),
    "pickles": (pickles.trial, 50, 50),
    "yaml": (yaml_files.trial, 100, 100),
    "names": (names.trial, 10_000, 150),
    "odd-directives": (odd_directives.trial, 2_000, 60),  # folders of one to three notebooks
    "downloads": (downloads.trial, 300, 40),
    "odd-run-folders": (odd_run_folders.trial, 2_178, 12),  # there are no more: all of them
    "processes": (processes.trial, 50, 2),
    "disks": (disks.trial, 100, 4),
    "disks-that-lack-a-call": (lacking_disks.trial, 1_000, 10),  # there are fewer: all of them
    "repeats": (repeats.trial, 20, 1),
    "checkpoints": (damaged_checkpoints.trial, 1_000, 300),
    "lost-writes": (lost_writes.trial, 20, 3),  # checkpoints written; the states they can leave are counted
    "failing-calls": (failing_calls.trial, 1_000, 6),  # there are fewer: all of them
    "kills": (kills.trial, 100, 3),
    "workers": (workers.trial, 90, 5),  # all faults of all workers in all phases, twice
    "ranks": (ranks.trial, 20, 2),
    "signals": (signals.trial, 60, 1),  # in each of three phases
    "sweeps": (sweeps.trial, 50, 2),
}

LINE = "{:<22} {:>7} {:>12} {:>9} {:>9}   {}"


def show(report: Report) -> None:
    """One row of the table: zero failures in N cases bound their rate by 3/N."""
    rate = f"below {3 / report.cases:.2g}" if report.cases and not report.failures else "-"
    print(
        LINE.format(
            report.name, report.cases, report.seed, f"{report.seconds:.1f}", len(report.failures), rate
        ).rstrip()
    )
    if report.note:
        print(f"  {report.note}")
    for failure in report.failures[:20]:
        print(f"  FAILED {failure}")
    sys.stdout.flush()


def main() -> int:
    """Run the trials asked for; 1 if any case failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument(
        "--only", metavar="NAME", action="append", choices=TRIALS, help="one trial; repeatable"
    )
    parser.add_argument("--seed", type=int, default=8, help="where the random numbers start")
    parser.add_argument("--count", type=int, help="cases instead of the trial's own count")
    asked = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a script's background ignores it
    print(LINE.format("trial", "N", "seed", "seconds", "failures", "rate"))
    failed = False
    for name in asked.only or TRIALS:
        trial, count, _ = TRIALS[name]
        with tempfile.TemporaryDirectory(prefix="mlfound-faults-") as folder:
            try:
                report = trial(asked.count or count, asked.seed, Path(folder))
            except SkipTest as reason:
                print(f"{name}: left out: {reason}")
                continue
        show(report)
        failed |= bool(report.failures)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
