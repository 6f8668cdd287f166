"""The tables of a comparison: what differs, in config and circumstances, and every figure side by side."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from mlfound.config.documents import flat
from mlfound.experiments.comparison.measures import MEASURES, Measure
from mlfound.experiments.comparison.pairs import Comparison
from mlfound.experiments.comparison.samples import CHANCE, Side, differing, settings, word
from mlfound.experiments.comparison.verdicts import direction
from mlfound.results import Column, EarlierRun, Table
from mlfound.stats.differences import deviation

SHOWN_VALUES = 3  # of one side in a cell
ASIDE = ("cores", "system")  # of the environment: no figure depends on them


def setting_table(sides: Sequence[Side]) -> Table:
    """A row a config key that differs; the seeds are in the table of figures."""
    per_run = [settings(run) for side in sides for run in side.runs]
    return across(
        "settings", "Settings that differ", "key", sides, settings, differing(per_run, besides=CHANCE)
    )


def circumstance_table(sides: Sequence[Side]) -> Table:
    """A row a fact about machine, versions or code that differs."""
    facts = [circumstances(run) for side in sides for run in side.runs]
    return across("environment", "Environments differ", "fact", sides, circumstances, differing(facts))


def circumstances(run: EarlierRun) -> dict[str, Any]:
    """What a run ran on and with, by dotted name."""
    environment = {**run.facts["environment"]}
    git = environment.pop("git", None) or {}
    found = {name: value for name, value in flat(environment) if name not in ASIDE}
    found |= {name: run.facts.get(name) for name in ("device", "threads", "engine")}
    commit = str(git.get("commit", "unknown"))[:10]
    return {**found, "git commit": f"{commit} and uncommitted changes" if git.get("dirty") else commit}


def across(
    name: str, title: str, what: str, sides: Sequence[Side], read: Any, keys: Mapping[str, Any]
) -> Table:
    """A row a key, a column a side; where a side's runs differ among themselves, their values."""
    columns = [Column(what), *(Column(side.title) for side in sides)]
    rows = [
        (key, *(several([word(read(run).get(key)) for run in side.runs]) for side in sides)) for key in keys
    ]
    return Table(name, title, columns, rows)


def several(values: Sequence[str]) -> str:
    """The different values in a cell, not too many of them."""
    different = list(dict.fromkeys(values))
    more = len(different) - SHOWN_VALUES
    return "; ".join(different[:SHOWN_VALUES]) + (f"; {more} more" if more > 0 else "")


def figure_table(sides: Sequence[Side], metric: str) -> Table:
    """A row a side: the metric's mean, spread and range over its seeds, and the means of the other figures."""
    others = [name for name in MEASURES if name != metric]
    of = {name: ".2%" if MEASURES[name].axis_unit else MEASURES[name].format for name in MEASURES}
    columns = (
        Column("side"),
        Column("runs"),
        Column("seeds"),
        Column(f"{metric}_mean", MEASURES[metric].label, of[metric]),
        Column(f"{metric}_std", "std", of[metric]),
        Column(f"{metric}_lowest", "lowest", of[metric]),
        Column(f"{metric}_highest", "highest", of[metric]),
        *(Column(f"{name}_mean", MEASURES[name].label, of[name]) for name in others),
    )
    rows = []
    for side in sides:
        values = list(side.values(metric).values())
        spread = deviation(values, 0) if len(values) > 1 else None
        means = [fmean(found) if (found := side.values(name).values()) else None for name in others]
        extremes = (min(values), max(values)) if values else (None, None)
        mean = fmean(values) if values else None
        rows.append((side.title, len(side.runs), ranges(sorted(side.seeds)), mean, spread, *extremes, *means))
    return Table("figures", "Side by side, means over the seeds", columns, rows)


def ranges(seeds: Sequence[int]) -> str:
    """Seeds in few words: `0–9, 12`."""
    starts = [seed for n, seed in enumerate(seeds) if n == 0 or seeds[n - 1] != seed - 1]
    ends = [seed for n, seed in enumerate(seeds) if n == len(seeds) - 1 or seeds[n + 1] != seed + 1]
    return ", ".join(f"{a}–{b}" if a < b else f"{a}" for a, b in zip(starts, ends, strict=True))


def comparison_table(made: Sequence[Comparison], measure: Measure, worth: float) -> Table:
    """A row a comparison, the difference in the measure's unit."""
    unit, families = measure.unit, any(each.first.family for each in made)
    named = f"_{unit}" if unit else ""
    columns = (
        *([Column("family", "all have")] if families else []),
        Column("first"),
        Column("second"),
        Column(f"difference{named}", f"difference{', ' * bool(unit)}{unit}", f"+{measure.format}"),
        Column(f"difference_low{named}", "from", f"+{measure.format}"),
        Column(f"difference_high{named}", "to", f"+{measure.format}"),
        Column("level", "at", ".1%"),
        Column("p", format=".2g"),
        Column("sign_flips_p", "sign flips p", ".2g"),
        Column("test"),
        Column("seeds_first", "seeds"),
        Column("seeds_second", "seeds"),
        Column("seeds_needed", f"seeds to see {worth:g}", ","),
        Column("verdict"),
    )
    rows = [
        (*([each.first.family] if families else []), *comparison_cells(each, measure, worth)) for each in made
    ]
    return Table("comparisons", f"Is it real? {measure.label}, each against the first", columns, rows)


def comparison_cells(each: Comparison, measure: Measure, worth: float) -> Iterator[Any]:
    effect = each.effect
    yield from (each.first.label, each.second.label)
    for value in (effect.difference, *each.interval):
        yield None if value is None else value * measure.scale
    yield each.level if effect.test else None
    yield from (each.p, effect.flips_p, "paired t" if effect.paired else "Welch's t", *effect.seeds)
    yield effect.seeds_needed(worth / measure.scale, each.level)
    yield verdict(each, measure)


def verdict(each: Comparison, measure: Measure) -> str:
    """In a word or two."""
    if each.p is None:
        return "cannot be judged"
    return direction(each.effect.difference, measure) if each.seen else "no difference seen"


def seed_table(sides: Sequence[Side]) -> Table:
    """Every figure that was used, a row a seed."""
    columns = [Column("side"), Column("seed"), *(Column(name) for name in MEASURES)]
    rows = [
        (side.title, seed, *(side.seeds[seed].get(name) for name in MEASURES))
        for side in sides
        for seed in sorted(side.seeds)
    ]
    return Table("seeds", "Every seed's figures", columns, rows, shown=False)
