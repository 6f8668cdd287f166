"""Every seed's figures: a table, the seeds with their differences and intervals, and the learning curves."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from operator import methodcaller
from statistics import fmean

from mlfound.errors import UserError
from mlfound.experiments.comparison.comparisons import Comparison
from mlfound.experiments.comparison.figures import MEASURES, Measure
from mlfound.experiments.comparison.sides import Family, Side
from mlfound.results import Column, EarlierRun, Picture, Result, Table
from mlfound.stats.differences import deviation

CURVES = ("valid_accuracy", "valid_loss")
Line = list[tuple[float, ...]]  # epochs, mean, from, to


def run(families: Sequence[Family], comparisons: Sequence[Comparison], measure: Measure) -> Result:
    """The figures that were used, and two pictures for each family."""
    columns = [Column(name, of=methodcaller("get", name)) for name in ("side", "seed", *MEASURES)]
    rows = [
        {**side.seeds[seed], "side": side.title, "seed": seed}
        for sides in families
        for side in sides
        for seed in sorted(side.seeds)
    ]
    pictures = list[Picture]()
    for number, sides in enumerate(families, 1):
        ending = f"-{number}" if len(families) > 1 else ""
        within = [each for each in comparisons if each.first is sides[0]]
        pictures.append(Picture(f"seeds{ending}", "compared_seeds", dots(sides, within, measure)))
        pictures.append(Picture(f"curves{ending}", "compared_curves", curves(sides)))
    table = Table.of("seeds", "Every seed's figures", columns, rows, shown=False)
    return Result({}, tables=[table], pictures=pictures)


def dots(sides: Family, comparisons: Sequence[Comparison], measure: Measure) -> dict[str, object]:
    """One row per side: its seeds, and its differences from the first side's."""
    by_seed = [side.values(measure.name) for side in sides]
    differences = [each.differences for each in comparisons]
    seeds = sorted({seed for values in by_seed for seed in values})
    scaled, family = measure.scaled, sides[0].family
    return {
        "title": f"{measure.label.capitalize()}, seed by seed{f': {family}' if family else ''}",
        "names": [side.label for side in sides],
        "values": [[scaled(values.get(seed)) for seed in seeds] for values in by_seed],
        "axis": measure.axis,
        "apart": [[scaled(values.get(seed)) for seed in seeds] for values in differences],
        "difference": [scaled(each.effect.difference) for each in comparisons],
        "low": [scaled(each.interval[0]) for each in comparisons],
        "high": [scaled(each.interval[1]) for each in comparisons],
        "unit": measure.unit,
    }


def curves(sides: Family) -> dict[str, object]:
    """One panel per figure, one line per side."""
    family = sides[0].family
    return {
        "title": f"Learning curves{f': {family}' if family else ''}",
        "names": [side.label for side in sides],
        "curves": {MEASURES[name].axis: [curve(side, name) for side in sides] for name in CURVES},
    }


def curve(side: Side, name: str) -> Line:
    """The figure over the epochs: its mean over the seeds, and one standard deviation to either side."""
    by_epoch: dict[float, dict[int, float]] = defaultdict(dict)
    for run in side.runs:
        for seed, epoch, value in epochs(run, name):
            by_epoch[epoch][seed] = value * MEASURES[name].scale
    points = []
    for epoch, by_seed in sorted(by_epoch.items()):
        mean, std = fmean(by_seed.values()), deviation(list(by_seed.values()))
        points.append((epoch, mean, mean - std, mean + std))
    return list(zip(*points, strict=True)) or [()] * 4


def epochs(run: EarlierRun, name: str) -> Iterator[tuple[int, float, float]]:
    """Seed, epoch and value, of every row that has one."""
    only = run.facts.get("seeds", [0])[0]
    try:
        for row in run.tables.get("epochs", ()):
            value = float(row[name] or math.nan)
            if math.isfinite(value):
                yield int(row.get("seed", only)), float(row["epoch"]), value
    except (KeyError, ValueError) as error:
        raise UserError(f"{run.path / 'tables/epochs.csv'}: damaged ({error})", key="runs") from error
