"""Is it real? What the comparisons come to, as a table and in sentences."""

from collections.abc import Iterator, Sequence

from mlfound.experiments.comparison.comparisons import Comparison
from mlfound.experiments.comparison.figures import Measure
from mlfound.results import Column, Result, Table
from mlfound.stats.differences import ALPHA, MAX_SEEDS

MAX_LISTED = 4  # comparisons on the screen


def run(comparisons: Sequence[Comparison]) -> Result:
    """Each difference with its interval and its p, how many were seen; of a single one its numbers as metrics."""
    metrics: dict[str, float | int | None] = {
        "comparisons": len(comparisons),
        "differences_seen": sum(each.seen for each in comparisons),
    }
    if len(comparisons) == 1:
        [only] = comparisons
        difference, effect = f"{only.measure.name}_difference", only.effect
        low, high = effect.interval(only.level)
        metrics |= {
            difference: effect.difference,
            f"{difference}_low": low,
            f"{difference}_high": high,
            "p": only.p,
            "sign_flips_p": effect.flips_p,
            "seeds": min(effect.seeds),
        }
    return Result(
        {name: value for name, value in metrics.items() if value is not None},
        findings=[*sentences(comparisons)],
        tables=[table(comparisons)],
    )


def table(comparisons: Sequence[Comparison]) -> Table:
    """One row per comparison, the difference in the measure's unit."""
    measure, minimum = comparisons[0].measure, comparisons[0].minimum
    ending, unit = (f"_{measure.unit}", f", {measure.unit}") if measure.unit else ("", "")
    signed = f"+{measure.format}"
    columns = [
        Column("first", of="first.label"),
        Column("second", of="second.label", rank=1),
        Column(f"difference{ending}", f"difference{unit}", signed, "difference"),
        Column(f"difference_low{ending}", "from", signed, lambda each: each.interval[0]),
        Column(f"difference_high{ending}", "to", signed, lambda each: each.interval[1]),
        Column("level", "at", ".1%", lambda each: each.level if each.effect.test else None, rank=4),
        Column("p", format=".2g", rank=3),
        Column("sign_flips_p", "sign flips p", ".2g", "effect.flips_p", rank=5),
        Column("test", of=lambda each: "paired t" if each.effect.paired else "Welch's t", rank=4),
        Column("seeds_first", "seeds of first", of=lambda each: each.effect.seeds[0], rank=5),
        Column("seeds_second", "seeds of second", of=lambda each: each.effect.seeds[1], rank=5),
        Column("seeds_needed", f"seeds to see {minimum:g}", ",", rank=3),
        Column("verdict"),
    ]
    if any(each.first.family for each in comparisons):
        columns.insert(0, Column("family", "all have", of="first.family"))
    title = f"Is it real? {measure.label}, each against the first"
    return Table.of("comparisons", title, columns, comparisons)


def sentences(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """One for a single comparison; of several a count, then a short line each, those with a difference first."""
    if len(comparisons) == 1:
        yield sentence(comparisons[0])
        return
    seen = [each for each in comparisons if each.seen]
    references = {each.first.label for each in comparisons}
    reference = references.pop() if len(references) == 1 else "the first of their family"
    measure = comparisons[0].measure
    what = f"{measure.label}{', in ' * bool(measure.unit)}{measure.unit}"
    yield f"{len(seen)} of {len(comparisons)} differ from {reference} in {what}:"
    ranked = sorted(comparisons, key=lambda each: not each.seen)
    listed = comparisons if len(comparisons) <= MAX_LISTED else ranked[:MAX_LISTED]
    yield from map(brief, listed)
    if more := len(comparisons) - len(listed):
        yield f"And {more} more: tables/comparisons.csv."


def brief(each: Comparison) -> str:
    """`B: better by 0.0128 (0.0101 to 0.0155), p < 0.0001.` or `C: no difference seen (-0.01 to +0.02), p = 0.2.`"""
    what, needed, more = f"{each.verdict}{bracketed(ends(each, '+'))}", each.seeds_needed, ""
    if each.seen:
        between = bracketed(sorted(end.lstrip("-") for end in ends(each)))
        what = f"{each.verdict} by {abs(each.difference):{each.measure.format}}{between}"
    elif each.p is not None and needed is not None and needed > min(each.effect.seeds):
        more = f"; {few(needed)} seeds would show {each.minimum:g}"
    return f"{each.second.title}: {', '.join(filter(None, (what, p_value(each))))}{more}."


def few(seeds: int) -> str:
    return f"more than {MAX_SEEDS:,}" if seeds > MAX_SEEDS else f"{seeds:,}"


def sentence(each: Comparison) -> str:
    """Better or worse by how much, or how many seeds it would take to see the minimum difference."""
    family = f"{each.first.family}: " if each.first.family else ""
    if each.p is None:
        why = "neither side has a spread to judge it by"
        if min(each.effect.seeds) == 1:
            why = "one seed says nothing about chance: train more, as in --replicates 10"
        return f"{family}{each.second.label} against {each.first.label}: {size(each)}, {count(each)}; {why}."
    return f"{family}{seen(each) if each.seen else unseen(each)}."


def seen(each: Comparison) -> str:
    """`B is better than A: validation loss lower by 0.0128 (0.0101 to 0.0155), p < 0.0001, 10 seeds`."""
    is_better = f"is {each.verdict} than" if each.measure.better else "differs from"
    level = "" if each.level == 1 - ALPHA else f" at {each.level:.1%}"
    between = bracketed(sorted(end.lstrip("-") for end in ends(each)), level)
    images = each.measure.images(each.effect.difference, each.first)
    head = f"{each.second.label} {is_better} {each.first.label}"
    return f"{head}: {size(each)}{between}, {p_value(each)}, {count(each)}{images}"


def unseen(each: Comparison) -> str:
    """`No difference seen between B and A: test loss lower by 0.0005 (-0.0014 to +0.0004), p = 0.25, 10 seeds`."""
    measure, needed = each.measure, each.seeds_needed
    between = f"between {each.second.label} and {each.first.label}"
    if not each.effect.spread and not each.difference:
        return f"No difference {between}: the {measure.label} is the same in every seed, {count(each)}"
    interval = bracketed(ends(each, "+")) if each.effect.test else " in every seed"
    text = f"No difference seen {between}: {size(each)}{interval}, {p_value(each)}, {count(each)}"
    what = f"{each.minimum:g} {unit(measure)}".rstrip()
    if needed is None:
        return text
    if needed <= min(each.effect.seeds):
        return f"{text}; these are enough to see {what} in most trials"
    return f"{text}; {few(needed)} seeds would be needed to see {what}"


def size(each: Comparison) -> str:
    """`validation loss lower by 0.0128`."""
    way = "lower" if each.difference < 0 else "higher"
    amount = f"{abs(each.difference):{each.measure.format}} {unit(each.measure)}".rstrip()
    return f"{each.measure.label} {way} by {amount}" if each.difference else f"same {each.measure.label}"


def unit(measure: Measure) -> str:
    return "percentage points" if measure.unit == "points" else measure.unit


def ends(each: Comparison, sign: str = "") -> list[str]:
    return [f"{end:{sign}{each.measure.format}}" for end in each.interval if end is not None]


def bracketed(words: Sequence[str], ending: str = "") -> str:
    return f" ({' to '.join(words)}{ending})" if words else ""


def count(each: Comparison) -> str:
    """`10 seeds`, or `10 and 7 seeds`."""
    ours, theirs = each.effect.seeds
    if ours == theirs:
        return f"{ours} seed{'s' * (ours != 1)}"
    return f"{theirs} and {ours} seeds"


def p_value(each: Comparison) -> str:
    return "" if each.p is None else "p < 0.0001" if each.p < 0.0001 else f"p = {each.p:.2g}"
