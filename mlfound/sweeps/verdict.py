"""Which setting of a training is the best, and which are not distinguishable from it.

The choice is by validation data; the test accuracy is given for the one that was chosen.
"""

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

from mlfound.errors import some
from mlfound.experiments.comparison import verdicts
from mlfound.experiments.comparison.comparisons import Comparison, compare
from mlfound.experiments.comparison.differences import content
from mlfound.experiments.comparison.figures import MEASURES, Measure
from mlfound.experiments.comparison.seeds import dots
from mlfound.report.figures import figure
from mlfound.results import Column, Picture, Result
from mlfound.sweeps.grid import Grid
from mlfound.sweeps.results import Setting, mean, settings_table

MAX_SIDES = 8  # in the picture of every seed
MAX_NAMED = 4  # settings in a sentence


def loss_varies(grid: Grid) -> bool:
    """Whether the cells are trained by several losses, which cannot be compared."""
    return "loss" in grid.axes or any("loss" in case for case in grid.config.cases.values())


def verdict(grid: Grid, settings: Sequence[Setting]) -> Result:
    """The settings, the best first, each compared with it; those of which all cells are there come first."""
    measure = MEASURES["valid_accuracy" if loss_varies(grid) else "valid_loss"]
    shown = ["valid_accuracy"] if loss_varies(grid) else ["valid_loss", "valid_accuracy"]
    if len({content(run) for each in settings for run in each.side.runs}) > 1:
        finding = "The cells saw different data, so no setting is called the best."
        return Result(findings=[finding], tables=[settings_table(grid, settings, shown)])

    def order(each: Setting) -> tuple[bool, float]:
        values = each.side.values(measure.name).values()
        return len(each.completed) < len(each.done), -measure.better * fmean(values)

    ranked = sorted((each for each in settings if each.side.values(measure.name)), key=order)
    found = compare([[each.side for each in ranked]], measure, measure.minimum)
    return Result(
        figures(ranked[0], found) if ranked else {},
        findings=[*sentences(ranked[0], measure, found)] if ranked else [],
        tables=[
            settings_table(grid, ranked, shown, columns({each.second.label: each for each in found})),
            *([verdicts.table(found)] if found else []),
        ],
        pictures=every_seed(ranked, found, measure),
    )


def figures(best: Setting, found: Sequence[Comparison]) -> dict[str, float | int]:
    """Those of the best setting, with their intervals, and how many others are as good for all that is known."""
    metrics: dict[str, float | int | None] = {}
    for name in ("test_accuracy", "valid_loss", "valid_accuracy"):
        for ending, part in (("", "value"), ("_low", "low"), ("_high", "high")):
            metrics[f"best_{name}{ending}"] = mean(name, part, best)
    metrics["not_distinguishable"] = sum(not each.seen for each in found)
    return {name: value for name, value in metrics.items() if value is not None}


def columns(compared: Mapping[str, Comparison]) -> list[Column]:
    """What the comparison with the best setting says of each other, by its label."""

    def said(each: Setting) -> str:
        comparison = compared.get(each.label)
        if comparison is None:
            return "best"
        is_like = comparison.p is not None and not comparison.seen
        return "not distinguishable" if is_like else comparison.verdict

    def p(each: Setting) -> float | None:
        return compared[each.label].p if each.label in compared else None

    return [Column("p", format=".2g", of=p), Column("verdict", of=said)] if compared else []


def sentences(best: Setting, measure: Measure, found: Sequence[Comparison]) -> Iterator[str]:
    """The best with its test accuracy; then how many are worse, and those that may not be."""
    of, figures = best.label or "All seeds", ranged(best, "test_accuracy") or ranged(best, measure.name)
    yield f"{of}{' is best on validation' * bool(found)}: {figures}."
    worse, count = sum(each.seen for each in found), len(found)
    like = [each.second.label for each in found if not each.seen and each.p is not None]
    unknown = [each.second.label for each in found if each.p is None]
    how = f"p by Holm over {count}" if count > 1 else verdicts.p_value(found[0]) if found else ""
    if worse:
        yield f"{worse} of {count} other settings {'is' if worse == 1 else 'are'} worse ({how})."
    if like:
        yield f"Not distinguishable from it ({how}): {some(like, MAX_NAMED, '; ')}."
    if unknown:
        yield f"One seed says nothing about chance, so there is no verdict on {some(unknown, MAX_NAMED, '; ')}."


def ranged(each: Setting, name: str) -> str:
    """`test accuracy 97.97% (97.87% to 98.06% at 95%, over 10 seeds)`; empty where there is no such figure."""
    value, low, high = (mean(name, part, each) for part in ("value", "low", "high"))
    if value is None:
        return ""
    says = f"{MEASURES[name].label} {figure(name, value)}"
    ends = f"{figure(name, low)} to {figure(name, high)}"
    return says if low is None else f"{says} ({ends} at 95%, over {len(each.values(name))} seeds)"


def every_seed(ranked: Sequence[Setting], found: Sequence[Comparison], measure: Measure) -> list[Picture]:
    """The best settings seed by seed, and how far the others are from the first."""
    sides = [each.side for each in ranked[:MAX_SIDES]]
    if len(sides) < 2:
        return []
    some_only = f", the best {MAX_SIDES} of {len(ranked)}" if len(ranked) > MAX_SIDES else ""
    title = f"{measure.label.capitalize()}, seed by seed{some_only}"
    data = dots(sides, found[: len(sides) - 1], measure)
    return [
        Picture("seeds", "compared_seeds", {"title": title, "names": [each.label for each in sides], **data})
    ]
