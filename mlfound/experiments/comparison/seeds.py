"""Every seed's figures: a table, the seeds with their differences and intervals, and the learning curves."""

from collections import defaultdict
from collections.abc import Sequence
from operator import methodcaller
from statistics import fmean

from mlfound.experiments.comparison.comparisons import Comparison
from mlfound.experiments.comparison.figures import MEASURES, Measure
from mlfound.experiments.comparison.sides import Family, Side, numeric
from mlfound.results import Column, Picture, Result, Table
from mlfound.stats.differences import deviation

CURVES = ("valid_accuracy", "valid_loss")


def run(families: Sequence[Family], comparisons: Sequence[Comparison], measure: Measure) -> Result:
    """The figures that were compared, and two pictures for each family."""
    columns = [Column(name, of=methodcaller("get", name)) for name in ("side", "seed", *MEASURES)]
    rows = [
        {**side.seeds[seed], "side": side.title, "seed": seed}
        for sides in families
        for side in sides
        for seed in sorted(side.seeds)
    ]
    pictures = []
    for number, sides in enumerate(families, 1):
        ending = f"-{number}" if len(families) > 1 else ""
        family, names = f": {sides[0].family}" if sides[0].family else "", [side.label for side in sides]
        within = [each for each in comparisons if each.first is sides[0]]
        title = f"{measure.label.capitalize()}, seed by seed{family}"
        data = {"title": title, "names": names, **dots(sides, within, measure)}
        lines = {MEASURES[name].axis: [curve(side, name) for side in sides] for name in CURVES}
        curves = {"title": f"Learning curves{family}", "names": names, "curves": lines}
        pictures.append(Picture(f"seeds{ending}", "compared_seeds", data))
        pictures.append(Picture(f"curves{ending}", "compared_curves", curves))
    table = Table.of("seeds", "Every seed's figures", columns, rows, shown="never")
    return Result(tables=[table], pictures=pictures)


def dots(sides: Family, comparisons: Sequence[Comparison], measure: Measure) -> dict[str, object]:
    """Each side's seeds, and its differences from the first side's."""
    by_seed = [side.values(measure.name) for side in sides]
    differences = [each.differences for each in comparisons]
    seeds = sorted({seed for values in by_seed for seed in values})
    return {
        "values": [[measure.scaled(values.get(seed)) for seed in seeds] for values in by_seed],
        "axis": measure.axis,
        "differences": [[by_pair.get(seed) for seed in seeds] for by_pair in differences],
        "difference": [each.difference for each in comparisons],
        "low": [each.interval[0] for each in comparisons],
        "high": [each.interval[1] for each in comparisons],
        "unit": measure.unit,
    }


def curve(side: Side, name: str) -> list[tuple[float, ...]]:
    """Epochs, the figure's mean over the seeds, and one standard deviation below and above it."""
    by_epoch: dict[float, dict[float, float]] = defaultdict(dict)
    for run in side.runs:
        for row in map(numeric, run.tables.get("epochs", ())):
            if name in row:
                seed = row.get("seed", run.facts["seeds"][0])
                by_epoch[row["epoch"]][seed] = row[name] * MEASURES[name].scale
    points = []
    for epoch, by_seed in sorted(by_epoch.items()):
        mean, std = fmean(by_seed.values()), deviation(list(by_seed.values()))
        points.append((epoch, mean, mean - std, mean + std))
    return list(zip(*points, strict=True)) or [()] * 4
