"""What the remedies against overfitting buy: a table to be read, one with every figure, sentences and a picture."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean

from mlfound.experiments.comparison.comparisons import Comparison, compare
from mlfound.experiments.comparison.figures import MEASURES
from mlfound.results import Column, Picture, Result, Table
from mlfound.sweeps.results import Setting, mean

ALONE, MORE_DATA, TOGETHER = "the net alone", "more data", "all together"
MEASURE = MEASURES["test_accuracy"]


@dataclass(frozen=True)
class Cure:
    """A remedy where there are so many rows, and what its trainings came to."""

    remedy: str
    rows: int
    trained_rows: int  # with more data, more
    setting: Setting
    comparison: Comparison | None = None  # with the network alone; None of itself, and where that failed

    @property
    def accuracy(self) -> float:
        return fmean(self.setting.values("test_accuracy"))

    @property
    def error(self) -> float:
        """The mean test error, in percent."""
        return 100 * (1 - self.accuracy)

    @property
    def change(self) -> float | None:
        """Of the test error, in percentage points: what is bought is negative."""
        return None if self.comparison is None else -self.comparison.difference

    @property
    def interval(self) -> tuple[float, float] | None:
        """Of the change, at the level that agrees with the adjusted p; None without a spread."""
        low, high = self.comparison.interval if self.comparison else (None, None)
        return None if low is None or high is None else (-high, -low)

    @property
    def overfitting(self) -> int:
        """Of how many seeds the validation loss rose to the end."""
        return round(sum(self.setting.values("overfitting")))

    def __str__(self) -> str:
        """`4.22 -5.96 ± 0.31`; of the network alone `10.18 5/5 overfit`."""
        change = "" if self.change is None else f" {self.change:+.2f}"
        if self.remedy == ALONE:
            change = f" {self.overfitting}/{len(self.setting.completed)} overfit"
        half = f" ± {(self.interval[1] - self.interval[0]) / 2:.2f}" if self.interval else ""
        return f"{self.error:.2f}{change}{half}"


def compared(found: Sequence[Cure]) -> list[Cure]:
    """Each beside the network alone on as many rows, by the test of `compare`: one family of all."""
    alone = {each.rows: each.setting.side for each in found if each.remedy == ALONE}
    others = [each for each in found if each.remedy != ALONE and each.rows in alone]
    comparisons = compare(
        [(alone[each.rows], each.setting.side) for each in others], MEASURE, MEASURE.minimum
    )
    by_place = {(each.remedy, each.rows): each for each in found}
    for each, comparison in zip(others, comparisons, strict=True):
        by_place[each.remedy, each.rows] = replace(each, comparison=comparison)
    return [*by_place.values()]


def report(found: Sequence[Cure], there: int) -> Result:
    """The figures by remedy and rows; see above. There are so many rows."""
    metrics = {f"{each.remedy} {each.rows} test_accuracy": each.accuracy for each in found}
    return Result(
        {name.removeprefix("the ").replace(" ", "_"): value for name, value in metrics.items()},
        findings=[*findings(found)],
        tables=[overview(found, there), every_figure(found)] if found else [],
        pictures=[picture(found)] if found else [],
    )


def overview(found: Sequence[Cure], there: int) -> Table:
    """A row for each remedy, a column for each number of rows."""
    by_place = {(each.remedy, each.rows): str(each) for each in found}

    def at(rows: int, remedy: str) -> str | None:
        return by_place.get((remedy, rows), "no more rows" if (remedy, rows) == (MORE_DATA, there) else None)

    columns = [Column("remedy", of=str)]
    columns += [
        Column(f"rows_{rows}", f"{rows:,} rows", of=partial(at, rows), rank=rank)
        for rank, rows in enumerate(numbers_of_rows(found), 2)
    ]
    count = sum(each.comparison is not None for each in found)
    title = f"Test error in %, and its change with a 95% interval (Holm over {count})"
    return Table.of("remedies", title, columns, names(found), "always")


def numbers_of_rows(found: Sequence[Cure]) -> list[int]:
    return list(dict.fromkeys(each.rows for each in found))


def names(found: Sequence[Cure]) -> list[str]:
    return list(dict.fromkeys(each.remedy for each in found))


def every_figure(found: Sequence[Cure]) -> Table:
    """A row for each remedy and number of rows."""

    def of_setting(name: str, each: Cure) -> float | None:
        return mean(name, "value", each.setting)

    def of_comparison(name: str, each: Cure) -> float | str | None:
        return getattr(each.comparison, name, None)

    def end(n: int, each: Cure) -> float | None:
        return each.interval[n] if each.interval else None

    columns = [
        Column("rows", format=",", rank=1),
        Column("remedy", rank=1),
        Column("trained_rows", "trained on", ",", rank=3),
        Column("epochs", of=lambda each: each.setting.cell.config["epochs"], rank=5),
        Column("seeds", of=lambda each: len(each.setting.completed), rank=5),
        Column("test_error", "test error", ".2%", lambda each: 1 - each.accuracy),
        Column("change_points", "change, points", "+.2f", "change"),
        Column("change_low_points", "from", "+.2f", partial(end, 0)),
        Column("change_high_points", "to", "+.2f", partial(end, 1)),
        Column("level", "at", ".1%", partial(of_comparison, "level"), rank=5),
        Column("p", format=".2g", of=partial(of_comparison, "p"), rank=3),
        Column("verdict", of=partial(of_comparison, "verdict")),
        Column("valid_accuracy", "validation accuracy", ".2%", partial(of_setting, "valid_accuracy"), rank=5),
        Column("valid_loss", "validation loss", ".4f", partial(of_setting, "valid_loss"), rank=4),
        Column("train_loss", "training loss", ".4f", partial(of_setting, "train_loss"), rank=4),
        Column("overfitting", "seeds that overfit", rank=4),
    ]
    return Table.of("every_figure", "Each remedy on each number of rows", columns, found)


def findings(found: Sequence[Cure]) -> Iterator[str]:
    """What buys most; the five by what they buy; whether there was anything to cure. Each of all numbers of rows."""
    by_rows = [{each.remedy: each for each in found if each.rows == rows} for rows in numbers_of_rows(found)]
    with_alone = [here for here in by_rows if ALONE in here and of_the_five(here)]
    yield from map(most_bought, with_alone)
    yield from map(in_order, with_alone)
    yield from (step_one(here[ALONE]) for here in with_alone)


def of_the_five(here: Mapping[str, Cure]) -> list[Cure]:
    """The remedies alone, the best first."""
    return sorted((here[name] for name in here if name not in (ALONE, TOGETHER)), key=lambda each: each.error)


def most_bought(here: Mapping[str, Cure]) -> str:
    """It has one line: `On 1,000 rows more data buys most: 10.18% to 4.22%; all together: 1.92%.`"""
    alone, best = here[ALONE], of_the_five(here)[0]
    if verdict(best) != "better":
        return f"On {alone.rows:,} rows no remedy by itself is seen to help."
    together = f"; {TOGETHER}: {here[TOGETHER].error:.2f}%" if TOGETHER in here else ""
    return (
        f"On {alone.rows:,} rows {best.remedy} buys most: {alone.error:.2f}% to {best.error:.2f}%{together}."
    )


def verdict(each: Cure) -> str:
    return each.comparison.verdict if each.comparison else ""


def in_order(here: Mapping[str, Cure]) -> str:
    """`On 1,000 rows, by what they buy: better: more data, augmentation; worse: smaller net; as in the lesson.`"""
    five = [each.remedy for each in of_the_five(here)]
    by_verdict = {
        word: [name for name in five if verdict(here[name]) == word]
        for word in ("better", "no difference seen", "worse")
    }
    said = [f"{word}: {', '.join(named)}" for word, named in by_verdict.items() if named]
    lesson = [name for name in here if name in five]
    like = "as in the lesson" if five == lesson else f"the lesson's order: {', '.join(lesson)}"
    return f"On {here[ALONE].rows:,} rows, by what they buy: {'; '.join(said)}; {like}."


def step_one(alone: Cure) -> str:
    """`On 1,000 rows the net alone overfits in 5 of 5 seeds: ...`"""
    runs, values = alone.setting.side.runs, alone.setting.values
    lowest = fmean(min(float(row["valid_loss"]) for row in run.tables["epochs"]) for run in runs)
    return (
        f"On {alone.rows:,} rows {ALONE} overfits in {alone.overfitting} of {len(runs)} seeds: its validation loss "
        f"falls to {lowest:.4f} and ends at {fmean(values('valid_loss')):.4f}, its training loss at "
        f"{fmean(values('train_loss')):.4f}."
    )


def picture(found: Sequence[Cure]) -> Picture:
    """The test error by the number of rows, a line for each remedy."""
    values, by_place = numbers_of_rows(found), {(each.remedy, each.rows): each.setting for each in found}

    def error(part: str, place: tuple[str, int]) -> float | None:
        """By a part of the accuracy's interval."""
        accuracy = mean("test_accuracy", part, by_place[place]) if place in by_place else None
        return None if accuracy is None else 100 - 100 * accuracy

    def lines(part: str) -> list[list[float | None]]:
        return [[error(part, (name, rows)) for rows in values] for name in names(found)]

    data = {
        "title": "Test error by training rows, with each remedy",
        "figure": "test error, %",
        "key": "training rows that there are without more data",
        "values": values,
        "names": names(found),
        "mean": lines("value"),
        "low": lines("high"),
        "high": lines("low"),
    }
    return Picture("remedies", "setting_lines", data)
