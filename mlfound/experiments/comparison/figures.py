"""Figures side by side: what each is called, its unit, which way is better, what difference is worth seeing.

The validation loss decides by default. It uses every image's probabilities, an accuracy only which was largest. Of
80 real runs, 40 seeds with `optimizer.weight_decay` 0.005 and 40 with 0.003, drawn again and again by 10 pairs, the
paired test (5%) sees the difference in 75% of all draws by the validation loss and in 15% by the validation accuracy;
where there is none (20 seeds of one setting, ten against ten) either cries falsely in 4% to 6%. The runs are those of
`mlfound train configs/mlp.yaml epochs=2 threads=1 --replicates 40` without and with `optimizer.weight_decay=0.003`;
tests/experiments/test_compare_power.py has their figures and repeats the trial.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from mlfound.experiments.comparison.differences import images
from mlfound.experiments.comparison.sides import Side
from mlfound.results import Column, Result, Table
from mlfound.stats.differences import deviation


@dataclass(frozen=True)
class Measure:
    """A column of `tables/seeds.csv`, or 1 less one, the error. A share of a split's images is shown in percent."""

    name: str
    label: str
    better: int  # 1: higher is better; -1: lower; 0: neither
    minimum: float  # the smallest difference worth seeing, in its unit
    format: str
    unit: str = ""  # of a difference
    split: str = ""  # of whose images it is a share

    @property
    def scale(self) -> float:  # from the column to the unit
        return 100 if self.split else 1

    @property
    def axis(self) -> str:
        return f"{self.label}, %" if self.split else self.label

    def scaled(self, value: float | None) -> float | None:
        return None if value is None else value * self.scale

    def direction(self, difference: float) -> str:
        """Whether the second side is `better` or `worse`, or `higher` or `lower` where neither is better."""
        words = ("better", "worse") if self.better else ("higher", "lower")
        return words[difference * (self.better or 1) < 0]

    def images(self, difference: float, side: Side) -> str:
        """A difference in images: `; 12 of 10,000 test images`; nothing where it is not a share of images."""
        total = images(side.runs[0], self.split)
        if total is None:
            return ""
        return f"; {round(abs(difference) * total, 1):g} of {total:,} {self.label.split()[0]} images"

    def column(self, name: str, label: str, statistic: Callable[[list[float]], float | None]) -> Column:
        """A statistic over the seeds of a side; empty where no seed has this figure."""

        def value(side: Side) -> float | None:
            values = list(side.values(self.name).values())
            return statistic(values) if values else None

        return Column(f"{self.name}_{name}", label, ".2%" if self.split else self.format, value)


MEASURES = {
    measure.name: measure
    for measure in (
        Measure("valid_loss", "validation loss", -1, 0.005, ".4f"),
        Measure("valid_accuracy", "validation accuracy", 1, 0.1, ".2f", "points", "valid"),
        Measure("test_loss", "test loss", -1, 0.005, ".4f"),
        Measure("test_accuracy", "test accuracy", 1, 0.1, ".2f", "points", "test"),
        Measure("test_error", "test error", -1, 0.1, ".2f", "points", "test"),
        Measure("test_wrong", "wrong test images", -1, 10, ".1f", "images"),
        Measure("train_loss", "training loss", 0, 0.005, ".4f"),
        Measure("best_epoch", "best epoch", 0, 1, ".1f", "epochs"),
    )
}


def run(sides: Sequence[Side], measure: Measure) -> Result:
    """One row per side: the measure's mean, spread and range over its seeds, and the means of the other figures."""
    columns = [
        Column("side", of="title"),
        Column("runs", of=lambda side: len(side.runs), rank=3),
        Column("seeds", of=lambda side: ranges(side.seeds), rank=3),
        measure.column("mean", measure.label, fmean),
        measure.column("std", "std", lambda values: deviation(values) if len(values) > 1 else None),
        measure.column("lowest", "lowest", min),
        measure.column("highest", "highest", max),
        *(
            replace(other.column("mean", other.label, fmean), rank=4)
            for other in MEASURES.values()
            if other != measure
        ),
    ]
    return Result(tables=[Table.of("figures", "Side by side, means over the seeds", columns, sides)])


def ranges(seeds: Collection[int]) -> str:
    """Seeds in few words: `0–9, 12`."""
    starts = sorted(seed for seed in seeds if seed - 1 not in seeds)
    ends = sorted(seed for seed in seeds if seed + 1 not in seeds)
    return ", ".join(f"{a}–{b}" if a < b else f"{a}" for a, b in zip(starts, ends, strict=True))


def without_seeds(sides: Sequence[Side]) -> Result:
    """Of runs that have one value of every figure: one row per figure, one column per run, and no verdict."""
    command, metrics = sides[0].runs[0].facts["command"], [side.runs[0].metrics for side in sides]
    columns = [Column("figure", of=str)]
    columns += [Column(side.label, of=its.get, rank=1) for side, its in zip(sides, metrics, strict=True)]
    if len(sides) == 2:
        first, second = metrics

        def ratio(name: str) -> float | None:
            return second[name] / first[name] if first.get(name) and name in second else None

        columns.append(Column("second_over_first", "second / first", ".3f", ratio))
    one = f"of {command} each run has one of every figure"
    findings = [f"No verdict: {one}, and no spread to judge a difference by."]
    if command == "matmul-bench":
        also = "Whether a rung became faster or slower is what mlfound matmul-bench --compare RUN tells."
        findings.append(also)
    names = dict.fromkeys(name for its in metrics for name in its)
    table = Table.of("figures", "Side by side", columns, names)
    return Result({"runs": len(sides)}, findings=findings, tables=[table])
