"""Every side against the first: paired by seed where the seeds allow it, p adjusted for all on the same data."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mlfound.errors import UserError
from mlfound.experiments.comparison.differences import content
from mlfound.experiments.comparison.figures import Measure
from mlfound.experiments.comparison.sides import Family, Side
from mlfound.stats.differences import ALPHA, Effect, holm, paired_effect, welch_effect


@dataclass(frozen=True)
class Comparison:
    first: Side
    second: Side
    measure: Measure
    minimum: float  # the smallest difference worth seeing, in the measure's unit
    common: Sequence[int]  # seeds that both sides have
    effect: Effect
    p: float | None  # adjusted for all comparisons
    level: float = 1 - ALPHA  # of the interval that agrees with this p

    @property
    def seen(self) -> bool:
        return self.p is not None and self.p < ALPHA

    @property
    def difference(self) -> float:
        """In the measure's unit, as are its interval and the differences of pairs."""
        return self.effect.difference * self.measure.scale

    @property
    def verdict(self) -> str:
        if self.p is None:
            return "cannot be judged"
        return self.measure.direction(self.difference) if self.seen else "no difference seen"

    @property
    def interval(self) -> tuple[float | None, float | None]:
        low, high = self.effect.interval(self.level)
        return self.measure.scaled(low), self.measure.scaled(high)

    @property
    def differences(self) -> dict[int, float]:
        """By common seed; empty where unpaired."""
        if self.effect.pairs is None:
            return {}
        return dict(zip(self.common, (self.effect.pairs * self.measure.scale).tolist(), strict=True))

    @property
    def seeds_needed(self) -> int | None:
        """The fewest seeds a side that would show the minimum difference; None without a spread."""
        return self.effect.seeds_needed(self.minimum / self.measure.scale, self.level)


def compare(families: Sequence[Family], measure: Measure, minimum: float) -> list[Comparison]:
    """Of each family the first side with every other, in order."""
    pairs = [(first, second) for first, *others in families for second in others]
    return adjusted([compared(first, second, measure, minimum) for first, second in pairs])


def adjusted(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The same, p and interval by Holm over those on the same data: what runs on other data say changes nothing."""
    on_data = defaultdict(list)
    for number, each in enumerate(comparisons):
        on_data[content(each.first.runs[0])].append(number)
    found = list(comparisons)
    for numbers in on_data.values():
        holms = holm([comparisons[number].p for number in numbers])
        for number, (p, level) in zip(numbers, holms, strict=True):
            found[number] = replace(found[number], p=p, level=level)
    return found


def compared(first: Side, second: Side, measure: Measure, minimum: float) -> Comparison:
    """One by itself: paired by the common seeds where they are at least half of either side's, p not adjusted."""
    ours, theirs = first.values(measure.name), second.values(measure.name)
    for side, values in ((first, ours), (second, theirs)):
        if not values:
            message = f"no seed of {side.label} has a {measure.name}; name another metric"
            raise UserError(message, key="metric")
    common = sorted(ours.keys() & theirs.keys())
    if 2 * len(common) >= max(len(ours), len(theirs)):
        effect = paired_effect([ours[seed] for seed in common], [theirs[seed] for seed in common])
    else:
        effect = welch_effect(list(ours.values()), list(theirs.values()))
    return Comparison(first, second, measure, minimum, common, effect, effect.p)
