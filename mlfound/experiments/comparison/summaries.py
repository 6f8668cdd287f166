"""Runs of commands without seeds to average over: their figures side by side, and no verdict."""

from collections.abc import Iterator, Sequence

from mlfound.experiments.comparison.samples import Side
from mlfound.results import Column, Table


def summary_table(sides: Sequence[Side]) -> Table:
    """A row a figure, a column a run; of two runs, the second over the first."""
    two = len(sides) == 2
    columns = [
        Column("figure"),
        *(Column(side.label) for side in sides),
        *([Column("second_over_first", "second / first", ".3f")] if two else []),
    ]
    rows = []
    metrics = [side.runs[0].metrics for side in sides]
    for name in dict.fromkeys(name for each in metrics for name in each):
        values = [each.get(name) for each in metrics]
        ratio = values[1] / values[0] if two and values[0] and values[1] is not None else None
        rows.append((name, *values, *([ratio] if two else [])))
    return Table("figures", "Side by side", columns, rows)


def remarks(command: str) -> Iterator[str]:
    """Why there is no verdict, and who gives one."""
    yield f"No verdict: of {command} each run has one of every figure, and no spread to judge a difference by."
    if command == "matmul-bench":
        yield "Whether a rung became faster or slower is what mlfound matmul-bench --compare RUN tells."
