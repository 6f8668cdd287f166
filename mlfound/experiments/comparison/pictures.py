"""The pictures of a comparison: every seed with the differences and their intervals, and the learning curves."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from statistics import fmean, stdev

from mlfound.errors import UserError
from mlfound.experiments.comparison.measures import MEASURES, Measure
from mlfound.experiments.comparison.pairs import Comparison
from mlfound.experiments.comparison.samples import Side
from mlfound.results import EarlierRun, Picture

CURVES = ("valid_accuracy", "valid_loss")
Line = tuple[list[float], list[float], list[float], list[float]]  # epochs, mean, from, to


def pictures(made: Sequence[Comparison], metric: str) -> Iterator[Picture]:
    """Two for each family."""
    families = list(dict.fromkeys(comparison.first.family for comparison in made))
    for number, family in enumerate(families, 1):
        within = [comparison for comparison in made if comparison.first.family == family]
        sides = [within[0].first, *(comparison.second for comparison in within)]
        ending = f"-{number}" if len(families) > 1 else ""
        yield Picture(f"seeds{ending}", "compared_seeds", dots(within, sides, metric))
        curves = {name: [curve(side, name) for side in sides] for name in CURVES}
        yield Picture(
            f"curves{ending}",
            "compared_curves",
            {
                "title": f"Learning curves{f': {family}' if family else ''}",
                "names": [side.label for side in sides],
                "curves": {MEASURES[name].axis: lines for name, lines in curves.items()},
            },
        )


def dots(made: Sequence[Comparison], sides: Sequence[Side], metric: str) -> dict[str, object]:
    """A row a side: its seeds, and its differences from the first side's."""
    measure, family = MEASURES[metric], made[0].first.family
    seeds = sorted({seed for side in sides for seed in side.values(metric)})
    found = [side.values(metric) for side in sides]
    apart = [comparison.apart(metric) for comparison in made]
    return {
        "title": f"{measure.label.capitalize()}, seed by seed{f': {family}' if family else ''}",
        "names": [side.label for side in sides],
        "values": [[scaled(values.get(seed), measure) for seed in seeds] for values in found],
        "axis": measure.axis,
        "apart": [[scaled(values.get(seed), measure) for seed in seeds] for values in apart],
        "difference": [scaled(each.effect.difference, measure) for each in made],
        "low": [scaled(each.interval[0], measure) for each in made],
        "high": [scaled(each.interval[1], measure) for each in made],
        "unit": measure.unit,
    }


def scaled(value: float | None, measure: Measure) -> float:
    return math.nan if value is None else value * measure.scale


def curve(side: Side, name: str) -> Line:
    """The figure over the epochs: its mean over the seeds, and one standard deviation to either side."""
    values: dict[float, dict[int, float]] = defaultdict(dict)
    for run in side.runs:
        for seed, epoch, value in epochs(run, name):
            values[epoch][seed] = value * MEASURES[name].scale
    line: Line = ([], [], [], [])
    for epoch, by_seed in sorted(values.items()):
        mean, spread = fmean(by_seed.values()), stdev(by_seed.values()) if len(by_seed) > 1 else 0.0
        for numbers, value in zip(line, (epoch, mean, mean - spread, mean + spread), strict=True):
            numbers.append(value)
    return line


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
