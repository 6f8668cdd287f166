"""Did a run reproduce what its config expects of it? In words, and as checks that decide the exit code."""

from collections.abc import Iterator, Mapping
from typing import Any

from mlfound.config.expectations import ExpectConfig, higher_is_better
from mlfound.results import Check, Result

ROUNDING = 1e-9  # of a sum of two decimal fractions: a figure at its bound is as expected
Metrics = Mapping[str, Any]


def expected(expect: ExpectConfig | None, metrics: Metrics) -> Result:
    """Of a run that came to its end with these metrics; what was missed comes first."""
    if expect is None:
        return Result()
    found = [*published(expect, metrics), *bounds(expect, metrics)]
    found.sort(key=lambda result: result.passed)
    return sum(found, Result())


def published(expect: ExpectConfig, metrics: Metrics) -> Iterator[Result]:
    """The figure that is to be reproduced: worse by `within` at most. A better one is always as expected."""
    for name, wanted in expect.figures.items():
        assert expect.within is not None, "a figure without a bound"
        value, allowed = metrics[name], expect.within
        bound = wanted - allowed if higher_is_better(name) else wanted + allowed
        passed = reaches(name, value, bound)
        word = "expected" if expect.source is None else "published"
        source = "" if expect.source is None else f" ({expect.source})"
        what, off = f"the {word} {figure(name, wanted)}{source}", abs(value - wanted)
        if not passed:
            text = (
                f"misses {what} by {distance(name, off, allowed)}; up to {distance(name, allowed)} is allowed"
            )
        elif off <= allowed + ROUNDING:
            text = f"within {distance(name, allowed)} of {what}"
        else:
            text = f"better than {what} by {distance(name, off)}"
        says = f"{words(name).capitalize()} {figure(name, value)}{interval(name, metrics)}: {text}."
        check = Check(
            f"{words(name)} within {allowed:g} of the {word} {wanted:g}, or better", passed, value, bound
        )
        yield Result(checks=[check], findings=[says])


def bounds(expect: ExpectConfig, metrics: Metrics) -> Iterator[Result]:
    """A check for each; a sentence for each that was missed, and one for all others."""
    met, checks = list[str](), list[Check]()
    for side, figures in (("at least", expect.at_least), ("at most", expect.at_most)):
        for name, bound in figures.figures.items() if figures else ():
            value = metrics[name]
            check = Check(f"{words(name)} {side} {bound:g}", reaches(name, value, bound), value, bound)
            if check.passed:
                checks.append(check)
                met.append(f"{words(name)} {figure(name, value)} ({side} {figure(name, bound)})")
            else:
                says = f"{words(name).capitalize()} {figure(name, value, bound)}{interval(name, metrics)}"
                text = f"{says}: missed, {side} {figure(name, bound)} is expected."
                yield Result(checks=[check], findings=[text])
    if met:
        yield Result(checks=checks, findings=[f"As expected: {', '.join(met)}."])


def reaches(name: str, value: float, bound: float) -> bool:
    return value >= bound - ROUNDING if higher_is_better(name) else value <= bound + ROUNDING


def interval(name: str, metrics: Metrics) -> str:
    """Over how many seeds it is a mean, and its 95% interval; of an error that of the accuracy, turned round."""
    seeds = metrics.get("replicates", 1)
    mean = f" in the mean over {seeds:,} seeds" if seeds > 1 else ""
    low, high = (metrics.get(f"{name.replace('error', 'accuracy')}_{end}") for end in ("low", "high"))
    if low is None or high is None:
        return mean
    low, high = (1 - high, 1 - low) if name.endswith("error") else (low, high)
    return f"{mean} (95% interval {figure(name, low)} to {figure(name, high)})"


def words(name: str) -> str:
    """`test error`, `validation loss`."""
    return name.replace("_", " ").replace("valid ", "validation ").replace("train ", "training ")


def figure(name: str, value: float, other: float | None = None) -> str:
    """In more digits where it would look like the `other`."""
    form, finer = (".4f", ".7f") if name.endswith("loss") else (".2%", ".5%")
    return format(value, finer if other is not None and f"{value:{form}}" == f"{other:{form}}" else form)


def distance(name: str, value: float, other: float | None = None) -> str:
    """Between two figures; in more digits where it would look like the `other`."""
    return figure(name, value, other).replace("%", " percentage points")
