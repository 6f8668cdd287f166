"""Do the metrics agree? Each comparison by validation and test figures, p corrected for looking at all of them."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter

from mlfound.config.explaining import listed
from mlfound.errors import some
from mlfound.experiments.comparison.comparisons import Comparison, adjusted, compared
from mlfound.experiments.comparison.figures import MEASURES
from mlfound.experiments.comparison.verdicts import p_value
from mlfound.results import Column, Result, Table

JUDGED = ("valid_loss", "valid_accuracy", "test_loss", "test_accuracy")


@dataclass(frozen=True)
class Several:
    """One comparison, and the same two sides by every metric that both have."""

    decided: Comparison
    by_metric: Sequence[Comparison]

    @property
    def verdicts(self) -> dict[str, list[Comparison]]:
        found = defaultdict(list)
        for each in self.by_metric:
            found[each.verdict].append(each)
        return found

    @property
    def agree(self) -> bool:
        """One verdict by all metrics, after the correction, and no other by the one that decides."""
        return len({*self.verdicts, *([self.decided.verdict] if self.decided.measure.better else [])}) < 2


def run(comparisons: Sequence[Comparison]) -> Result:
    """One line on all metrics, how many comparisons they disagree on, and each difference in a table."""
    several = by_all_metrics(comparisons)
    metrics: dict[str, float | int] = {"disagreements": sum(not each.agree for each in several)}
    if len(several) == 1:
        metrics |= {
            f"{each.measure.name}_difference": each.effect.difference for each in several[0].by_metric
        }
    return Result(metrics, findings=[*sentences(several)], tables=[table(several)])


def by_all_metrics(comparisons: Sequence[Comparison]) -> list[Several]:
    judged = adjusted([
        compared(each.first, each.second, measure, measure.minimum)
        for each in comparisons
        for measure in map(MEASURES.__getitem__, JUDGED)
        if each.first.values(measure.name) and each.second.values(measure.name)
    ])  # fmt: skip
    return [
        Several(each, [one for one in judged if one.first is each.first and one.second is each.second])
        for each in comparisons
    ]


def table(several: Sequence[Several]) -> Table:
    columns = [
        Column("first", of="first.title"),
        Column("second", of="second.title", rank=1),
        Column("metric", of="measure.label", rank=1),
        Column("difference", format="+.4f", of="effect.difference"),
        Column("p", "p, corrected", ".2g"),
        Column("verdict"),
    ]
    rows = [one for each in several for one in each.by_metric]
    return Table.of("metrics", "By every metric, p corrected for all of them (Holm)", columns, rows)


def sentences(several: Sequence[Several]) -> Iterator[str]:
    """One line: of a single comparison with all figures, of several with the verdicts where they disagree."""
    judged = [each for each in several if each.by_metric]
    if len(judged) == 1:
        yield sentence(*judged)
    elif judged:
        apart = [each for each in judged if not each.agree]
        how = "p by Holm over all"
        if not apart:
            labels = dict.fromkeys(one.measure.label for each in judged for one in each.by_metric)
            yield f"The metrics agree ({listed([*labels])}; {how})."
        elif len(apart) == 1:
            yield f"The metrics disagree on {apart[0].decided.second.title} ({how}): {in_words(apart[0])}."
        else:
            titles = some([each.decided.second.title for each in apart], 2)
            yield f"The metrics disagree in {len(apart)} ({how}; tables/metrics.csv): {titles}."


def sentence(each: Several) -> str:
    """`The metrics disagree (p by Holm over 4): better in validation loss (...); no difference seen in ...`."""
    count = len(each.by_metric)
    if [*each.verdicts] == ["cannot be judged"]:
        return f"No metric can be judged: {listed(list(map(figure, each.by_metric)))}."
    head = f"All {count} metrics agree" if each.agree else "The metrics disagree"
    return f"{head} (p by Holm over {count}): {in_words(each, figure)}."


def in_words(each: Several, of: Callable[[Comparison], str] = attrgetter("measure.label")) -> str:
    """The verdicts, each with its metrics."""
    parts = [
        f"{verdict}{':' if verdict == 'cannot be judged' else ' in'} {listed(list(map(of, comparisons)))}"
        for verdict, comparisons in each.verdicts.items()
    ]
    if not each.agree and len(parts) == 1:  # it was seen, but not after the correction
        parts.append(f"{each.decided.verdict} in {each.decided.measure.label} taken alone")
    return "; ".join(parts)


def figure(each: Comparison) -> str:
    """`validation accuracy (+0.10 points, p = 0.048)`."""
    size = f"{each.difference:+{each.measure.format}} {each.measure.unit}".rstrip()
    return f"{each.measure.label} ({', '.join(filter(None, (size, p_value(each))))})"
