"""What `make bench` runs: every benchmark of the project, and one table at the end.

No tests: machines have moods. A figure that misses what is wanted is said, and only an error gives exit code 1.
"""

import argparse
import sys
import traceback
from collections.abc import Callable
from time import perf_counter

from mlfound.report.terminal import screen, show
from mlfound.results import Column, Result, Table
from tests.bench import backprop, convolution, matmul, step, training
from tests.bench.row import Row, Rows

BENCHES: dict[str, Callable[[], Rows]] = {
    "step": step.rows,
    "training": training.rows,
    "backprop": backprop.rows,
    "matmul": matmul.rows,
    "convolution": convolution.rows,
}
COLUMNS = (
    Column("what"),
    Column("measured", format=".3g"),
    Column("middle half"),
    Column("n"),
    Column("wanted"),
    Column("holds"),
    Column("run"),
)


def line(row: Row) -> tuple[object, ...]:
    low, high = row.wanted
    wanted = f"{low:g} or more" if high == float("inf") else f"{low:g} to {high:g}"
    spread = "{:.2f} to {:.2f}".format(*row.middle_half) if row.middle_half else None
    return (row.what, row.measured, spread, row.n, wanted, row.holds, row.where)


def main() -> int:
    """Run the benchmarks asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", metavar="NAME", action="append", choices=BENCHES, help="one; repeatable")
    lines, failed, start = [], False, perf_counter()
    for name in parser.parse_args().only or BENCHES:
        try:
            for row in BENCHES[name]():
                lines.append(line(row))
                print(f"{perf_counter() - start:4.0f} s  {row.what}: {row.measured:.3g}", file=sys.stderr)
        except Exception:
            traceback.print_exc()
            failed = True
    show(Result({}, tables=[Table("bench", "Measured beside wanted", COLUMNS, lines)]), screen())
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
