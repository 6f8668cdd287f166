"""Every side against the first: paired by seed where the seeds allow it, all p-values adjusted together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mlfound.errors import UserError
from mlfound.experiments.comparison.groups import Family
from mlfound.experiments.comparison.samples import Side, sides
from mlfound.stats.differences import ALPHA, Effect, holm, paired_effect, welch_effect


@dataclass(frozen=True)
class Comparison:
    """Two sides of a family, one figure."""

    first: Side
    second: Side
    common: Sequence[int]  # seeds that both sides have
    effect: Effect
    p: float | None  # adjusted for all comparisons made together
    level: float = 1 - ALPHA  # of the interval that agrees with this p

    @property
    def seen(self) -> bool:
        """Whether chance is an unlikely reason."""
        return self.p is not None and self.p < ALPHA

    @property
    def interval(self) -> tuple[float | None, float | None]:
        return self.effect.interval(self.level)

    def apart(self, metric: str) -> dict[int, float]:
        """How far the second side's figure lies from the first's, by common seed; nothing where unpaired."""
        first, second = self.first.values(metric), self.second.values(metric)
        return {seed: second[seed] - first[seed] for seed in self.common} if self.effect.paired else {}


def comparisons(families: Sequence[Family], metric: str) -> list[Comparison]:
    """Of each family the first side with every other, in order."""
    made = [
        compared(first, second, metric)
        for family in families
        for first, *others in [sides(family.name, family.labels, family.groups)]
        for second in others
    ]
    final = holm([comparison.p for comparison in made])
    return [replace(each, p=p, level=level) for each, (p, level) in zip(made, final, strict=True)]


def compared(first: Side, second: Side, metric: str) -> Comparison:
    """Before anything else is known of other comparisons."""
    ours, theirs = first.values(metric), second.values(metric)
    for side, values in ((first, ours), (second, theirs)):
        if not values:
            raise UserError(f"no seed of {side.label} has a {metric}; name another metric", key="metric")
    common = sorted(ours.keys() & theirs.keys())
    effect = judge(ours, theirs)
    return Comparison(first, second, common, effect, effect.p)


def judge(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Effect:
    """Paired by the common seeds where they are at least half of either side; else as independent groups."""
    common = sorted(ours.keys() & theirs.keys())
    if 2 * len(common) >= max(len(ours), len(theirs)):
        return paired_effect([ours[seed] for seed in common], [theirs[seed] for seed in common])
    return welch_effect(list(ours.values()), list(theirs.values()))
