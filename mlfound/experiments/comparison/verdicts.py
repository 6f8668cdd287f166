"""What a comparison comes to, in sentences."""

from collections.abc import Iterator, Mapping, Sequence

from mlfound.experiments.comparison.measures import Measure
from mlfound.experiments.comparison.pairs import Comparison
from mlfound.stats.differences import ALPHA, EXACT_PAIRS, FLIPS, MOST_SEEDS


def sentence(comparison: Comparison, measure: Measure, worth: float, rows: Mapping[str, int]) -> str:
    """The verdict: better or worse by how much, or how many seeds it would take to see `worth`."""
    where = f"{comparison.first.family}: " if comparison.first.family else ""
    if comparison.p is None:
        return f"{where}{unjudged(comparison, measure, rows)}"
    if comparison.seen:
        return f"{where}{seen(comparison, measure, rows)}"
    return f"{where}{unseen(comparison, measure, worth)}"


def seen(comparison: Comparison, measure: Measure, rows: Mapping[str, int]) -> str:
    """Chance alone would hardly do this."""
    difference = comparison.effect.difference
    ends = sorted(abs(end) for end in comparison.interval if end is not None)
    between = " to ".join(f"{end * measure.scale:{measure.format}}" for end in ends)
    level = "" if comparison.level == 1 - ALPHA else f" at {comparison.level:.1%}"
    return (
        f"{comparison.second.label} is {direction(difference, measure)} by {measure.amount(difference)}"
        f"{f' ({between}{level})' if ends else ''}, {p_value(comparison.p)}, {count(comparison)}, "
        f"against {comparison.first.label}{measure.images(difference, rows)}."
    )


def unseen(comparison: Comparison, measure: Measure, worth: float) -> str:
    """Chance alone may have done this."""
    effect, who = comparison.effect, f"between {comparison.second.label} and {comparison.first.label}"
    if not effect.spread and not effect.difference:
        return f"No difference {who}: the {measure.label} is the same in every seed, {count(comparison)}."
    low, high = comparison.interval
    unit = f" {measure.unit}" if measure.unit else ""
    apart = f"{measure.signed(effect.difference)}{unit} in every seed"
    if low is not None and high is not None:
        apart = (
            f"{measure.signed(effect.difference)}, from {measure.signed(low)} to {measure.signed(high)}{unit}"
        )
    return (
        f"No difference seen {who} ({apart}), {p_value(comparison.p)}, {count(comparison)}"
        f"{'; ' + needed(comparison, measure, worth) if effect.spread else ''}."
    )


def needed(comparison: Comparison, measure: Measure, worth: float) -> str:
    """How many seeds would show a difference of `worth`, which is in the measure's unit."""
    seeds = comparison.effect.seeds_needed(worth / measure.scale, comparison.level) or 0
    what = f"{worth:g}{' ' * bool(measure.unit)}{measure.unit}"
    if seeds > MOST_SEEDS:
        return f"more than {MOST_SEEDS:,} seeds would be needed to see {what}"
    if seeds <= min(comparison.effect.seeds):
        return f"these are enough to see {what} in most trials"
    return f"{seeds:,} seeds would be needed to see {what}"


def unjudged(comparison: Comparison, measure: Measure, rows: Mapping[str, int]) -> str:
    """Too little is known to tell a difference from chance; still, it is said."""
    difference, (ours, theirs) = comparison.effect.difference, comparison.effect.seeds
    who = f"{comparison.second.label} is {direction(difference, measure)} by {measure.amount(difference)}"
    if not difference:
        who = f"{comparison.second.label} has the same {measure.label}"
    of = f"{who}, {count(comparison)}, against {comparison.first.label}{measure.images(difference, rows)}"
    if min(ours, theirs) > 1:
        return f"{of}; neither side has a spread to judge it by."
    return f"{of}; one seed says nothing about chance: train more, as in --replicates 10."


def direction(difference: float, measure: Measure) -> str:
    words = ("better", "worse") if measure.better else ("higher", "lower")
    return words[difference * (measure.better or 1) < 0]


def count(comparison: Comparison) -> str:
    """`10 seeds`, or `10 and 7 seeds`."""
    ours, theirs = comparison.effect.seeds
    if ours == theirs:
        return f"{ours} seed{'s' * (ours != 1)}"
    return f"{theirs} and {ours} seeds"


def p_value(p: float | None) -> str:
    return "" if p is None else "p < 0.0001" if p < 0.0001 else f"p = {p:.2g}"


def methods(made: Sequence[Comparison]) -> Iterator[str]:
    """How the verdicts came about, and what to beware of."""
    unequal = [each.effect for each in made if each.effect.spread or each.effect.difference]
    pairs = [effect for effect in unequal if effect.flips_p is not None]
    if pairs:
        how = "exact" if max(effect.seeds[0] for effect in pairs) <= EXACT_PAIRS else f"{FLIPS:,} random"
        flips = f"p = {pairs[0].flips_p:.2g}" if len(made) == 1 else "their p stands beside it"
        yield f"Paired by seed, the paired t-test decides; a second opinion by {how} sign flips: {flips}."
        if not all(effect.spread for effect in pairs):
            yield "Where every pair differs alike there is no spread for a t-test, and the sign flips decide."
    for few in sorted({effect.seeds[0] for effect in pairs if 2 * 0.5 ** effect.seeds[0] >= ALPHA}):
        yield (
            f"{few} pairs can never reach {ALPHA} by sign flips: the smallest p is 2/{2**few}; "
            "six or more can."
        )
    if any(not each.effect.paired and each.p is not None for each in made):
        yield "Too few seeds in common to pair: Welch's t-test decides, as between independent groups."
    for each in made:
        yield from left_over(each)
    for side in {id(side): side for each in made for side in (each.first, each.second)}.values():
        if side.repeats:
            yield f"{side.title}: {side.repeats} of its seeds were trained again; the newest run of each counts."
    if len(judged := [each for each in made if each.p is not None]) > 1:
        yield f"{len(judged)} comparisons: p is Holm's, and each interval is as wide as agrees with it."


def left_over(comparison: Comparison) -> Iterator[str]:
    """Seeds that a pairing has no use for."""
    sides = (comparison.first, comparison.second)
    extra = [(len(side.seeds) - len(comparison.common), side.title) for side in sides]
    if comparison.effect.paired and any(count for count, _ in extra):
        left = " and ".join(f"{count} of {label}" for count, label in extra if count)
        yield f"Paired by the {len(comparison.common)} common seeds; left out: {left}."
