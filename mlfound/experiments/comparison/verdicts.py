"""Is it real? What the comparisons come to, as a table and in sentences."""

from collections.abc import Iterator, Sequence

from mlfound.experiments.comparison.comparisons import Comparison
from mlfound.results import Column, Result, Table
from mlfound.stats.differences import ALPHA, MAX_EXACT_PAIRS, MAX_SEEDS, RANDOM_FLIPS


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
        findings=[*map(sentence, comparisons), *methods(comparisons)],
        tables=[table(comparisons)],
    )


def table(comparisons: Sequence[Comparison]) -> Table:
    """One row per comparison, the difference in the measure's unit."""
    measure, minimum = comparisons[0].measure, comparisons[0].minimum
    ending, unit = (f"_{measure.unit}", f", {measure.unit}") if measure.unit else ("", "")
    signed = f"+{measure.format}"
    columns = [
        Column("first", of="first.label"),
        Column("second", of="second.label"),
        Column(f"difference{ending}", f"difference{unit}", signed, "difference"),
        Column(f"difference_low{ending}", "from", signed, lambda each: each.interval[0]),
        Column(f"difference_high{ending}", "to", signed, lambda each: each.interval[1]),
        Column("level", "at", ".1%", lambda each: each.level if each.effect.test else None),
        Column("p", format=".2g"),
        Column("sign_flips_p", "sign flips p", ".2g", "effect.flips_p"),
        Column("test", of=lambda each: "paired t" if each.effect.paired else "Welch's t"),
        Column("seeds_first", "seeds", of=lambda each: each.effect.seeds[0]),
        Column("seeds_second", "seeds", of=lambda each: each.effect.seeds[1]),
        Column("seeds_needed", f"seeds to see {minimum:g}", ","),
        Column("verdict"),
    ]
    if any(each.first.family for each in comparisons):
        columns.insert(0, Column("family", "all have", of="first.family"))
    title = f"Is it real? {measure.label}, each against the first"
    return Table.of("comparisons", title, columns, comparisons)


def sentence(each: Comparison) -> str:
    """Better or worse by how much, or how many seeds it would take to see the minimum difference."""
    family = f"{each.first.family}: " if each.first.family else ""
    if each.p is not None:
        return f"{family}{seen(each) if each.seen else unseen(each)}."
    if min(each.effect.seeds) > 1:
        return f"{family}{against(each)}; neither side has a spread to judge it by."
    return f"{family}{against(each)}; one seed says nothing about chance: train more, as in --replicates 10."


def against(each: Comparison, certainty: str = "") -> str:
    """`B is better by 0.42 points, 10 seeds, against A: 41.8 of 10,000 test images`."""
    measure, size = each.measure, f"{abs(each.difference):{each.measure.format}} {each.measure.unit}".rstrip()
    what = f"is {measure.direction(each.difference)} by {size}{certainty}"
    if not each.difference:
        what = f"has the same {measure.label}"
    images = measure.images(each.effect.difference, each.first)
    return f"{each.second.label} {what}, {count(each)}, against {each.first.label}{images}"


def seen(each: Comparison) -> str:
    ends = sorted(abs(end) for end in each.interval if end is not None)
    between = " to ".join(f"{end:{each.measure.format}}" for end in ends)
    level = "" if each.level == 1 - ALPHA else f" at {each.level:.1%}"
    return against(each, f"{f' ({between}{level})' if ends else ''}, {p_value(each)}")


def unseen(each: Comparison) -> str:
    measure, needed = each.measure, each.seeds_needed
    sides = f"between {each.second.label} and {each.first.label}"
    if not each.effect.spread and not each.difference:
        return f"No difference {sides}: the {measure.label} is the same in every seed, {count(each)}"
    values = [value for value in (each.difference, *each.interval) if value is not None]
    mean, *ends = (f"{value:+{measure.format}}" for value in values)
    unit = f" {measure.unit}" if measure.unit else ""
    size = f"{mean}, from {' to '.join(ends)}{unit}" if ends else f"{mean}{unit} in every seed"
    text = f"No difference seen {sides} ({size}), {p_value(each)}, {count(each)}"
    what = f"{each.minimum:g}{unit}"
    if needed is None:
        return text
    if needed > MAX_SEEDS:
        return f"{text}; more than {MAX_SEEDS:,} seeds would be needed to see {what}"
    if needed <= min(each.effect.seeds):
        return f"{text}; these are enough to see {what} in most trials"
    return f"{text}; {needed:,} seeds would be needed to see {what}"


def count(each: Comparison) -> str:
    """`10 seeds`, or `10 and 7 seeds`."""
    ours, theirs = each.effect.seeds
    if ours == theirs:
        return f"{ours} seed{'s' * (ours != 1)}"
    return f"{theirs} and {ours} seeds"


def p_value(each: Comparison) -> str:
    return "" if each.p is None else "p < 0.0001" if each.p < 0.0001 else f"p = {each.p:.2g}"


def methods(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """How the verdicts came about, and what to beware of."""
    unequal = [each.effect for each in comparisons if each.effect.spread or each.effect.difference]
    pairs = [effect for effect in unequal if effect.flips_p is not None]
    if pairs:
        exact = max(effect.seeds[0] for effect in pairs) <= MAX_EXACT_PAIRS
        how = "exact" if exact else f"{RANDOM_FLIPS:,} random"
        flips = f"p = {pairs[0].flips_p:.2g}" if len(comparisons) == 1 else "their p stands beside it"
        yield f"Paired by seed, the paired t-test decides; a second opinion by {how} sign flips: {flips}."
    if not all(effect.spread for effect in pairs):
        yield "Where every pair differs alike there is no spread for a t-test, and the sign flips decide."
    for few in sorted({effect.seeds[0] for effect in pairs if 2 * 0.5 ** effect.seeds[0] >= ALPHA}):
        smallest = f"the smallest p is 2/{2**few}; six or more can"
        yield f"{few} pairs can never reach {ALPHA} by sign flips: {smallest}."
    if any(not each.effect.paired and each.p is not None for each in comparisons):
        yield "Too few seeds in common to pair: Welch's t-test decides, as between independent groups."
    for each in comparisons:
        extra = [(len(side.seeds) - len(each.common), side.title) for side in (each.first, each.second)]
        left = " and ".join(f"{count} of {title}" for count, title in extra if count)
        if each.effect.paired and left:
            yield f"Paired by the {len(each.common)} common seeds; left out: {left}."
    for side in {id(side): side for each in comparisons for side in (each.first, each.second)}.values():
        if side.repeats:
            yield f"{side.title}: {side.repeats} of its seeds were trained again; the newest run of each counts."
    if (adjusted := sum(each.p is not None for each in comparisons)) > 1:
        yield f"{adjusted} comparisons: p is Holm's, and each interval is as wide as agrees with it."
