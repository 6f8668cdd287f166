"""How the verdicts came about, and which seeds do not count: for the end of the screen."""

from collections import Counter
from collections.abc import Iterator, Sequence

from mlfound.config.explaining import listed
from mlfound.errors import some
from mlfound.experiments.comparison.comparisons import Comparison
from mlfound.experiments.comparison.differences import content
from mlfound.stats.differences import ALPHA, MAX_EXACT_PAIRS, RANDOM_FLIPS, Effect


def methods(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """How the verdicts came about, a line for each kind of test."""
    unequal = [each.effect for each in comparisons if each.effect.spread or each.effect.difference]
    pairs = [effect for effect in unequal if effect.flips_p is not None]
    if pairs:
        yield f"Paired t-test by seed; {flips(pairs)}."
    if not all(effect.spread for effect in pairs):
        yield "Where every pair differs alike there is no spread for a t-test, and the sign flips decide."
    if any(not each.effect.paired and each.p is not None for each in comparisons):
        yield "Too few seeds in common to pair: Welch's t-test decides, as between independent groups."
    yield from left_out(comparisons)
    on_data = Counter(content(each.first.runs[0]) for each in comparisons if each.p is not None)
    if several := [str(count) for count in on_data.values() if count > 1]:
        yield f"p by Holm over the {listed(several)} comparisons on the same data; each interval agrees with it."


def flips(pairs: Sequence[Effect]) -> str:
    fewest, most = min(effect.seeds[0] for effect in pairs), max(effect.seeds[0] for effect in pairs)
    if 2 * 0.5**fewest >= ALPHA:
        return f"{fewest} pairs are too few for sign flips to reach {ALPHA}, six are enough"
    if len(pairs) > 1:
        return "a second opinion by sign flips: tables/comparisons.csv"
    how = "exact" if most <= MAX_EXACT_PAIRS else f"{RANDOM_FLIPS:,} random"
    return f"{how} sign flips give p = {pairs[0].flips_p:.2g}"


def left_out(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """Seeds that do not count: those without a partner, and those that were trained again."""
    sides = dict.fromkeys(side for each in comparisons for side in (each.first, each.second))
    alone = {
        side: f"{count} of {side.title}"
        for each in comparisons
        for side in (each.first, each.second)
        if each.effect.paired and (count := len(side.seeds) - len(each.common))
    }
    if alone:
        yield f"Paired by common seeds; left out: {some([*alone.values()])}."
    if again := [f"{side.repeats} of {side.title}" for side in sides if side.repeats]:
        yield f"Seeds trained again, of which the newest run counts: {some(again)}."
