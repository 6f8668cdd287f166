"""Formats a figure by its name in the summary and the CSVs: its label and its value with unit.

Names carry their unit (`train_seconds`, `median_s`, `peak_gflop_per_s`), fractions are 0 to 1.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from mlfound.errors import printable
from mlfound.report.tables import duration

Number = float | int
MAX_NUMBER = 1e18  # a larger number is cut


def words(name: str) -> str:
    """The label for a name, without its unit: `train_seconds` is "train time", `median_s` "median"."""
    for ending, label in UNITS.items():
        if f"_{name}".endswith(ending):
            name = f"_{name}".removesuffix(ending) + label
            break
    return printable(name.replace("_", " ").strip())


def figure(name: str, value: object) -> str:
    """The value as text with its unit; None (in JSON: a number that was not finite) is a dash."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int | float):
        return printable(str(value))
    if not -MAX_NUMBER < value < MAX_NUMBER:
        return f"{value:.4g}" if isinstance(value, float) else f"{str(value)[:6]}…"
    write = next((READINGS[pattern] for pattern in READINGS if fnmatchcase(name, pattern)), plain_number)
    return write(value)


def has_unit(name: str) -> bool:
    """Whether the name determines the unit of its values."""
    return any(fnmatchcase(name, pattern) for pattern in READINGS)


def plain_number(value: Number) -> str:
    """Four digits, or all before the point, in groups of three."""
    if isinstance(value, int) or 1000 <= abs(value) < 1e9:
        return f"{value:,.0f}" if isinstance(value, float) else f"{value:,}"
    return f"{value:.4g}"


def elapsed(seconds: Number) -> str:
    """How long something took: as a measured duration up to a minute and a half, then in minutes and hours."""
    if seconds < 90:
        return duration(seconds)
    minutes, rest = divmod(int(seconds), 60)
    hours, left = divmod(minutes, 60)
    return f"{hours:,} h {left:02} min" if hours else f"{minutes} min {rest:02} s"


@dataclass(frozen=True)
class Headline:
    """A figure to show first, with its interval or range in `note`."""

    label: str
    text: str
    note: str = ""


def headlines(metrics: Mapping[str, Number], at_most: int) -> list[Headline]:
    """The first figures of a run: experiments give the most important first."""
    ends = {f"{name}_{end}" for name in metrics for pair in RANGES.values() for end in pair}
    chosen = [name for name in metrics if name not in ends][:at_most]
    return [
        Headline(words(name), figure(name, metrics[name]), ", ".join(_notes(name, metrics)))
        for name in chosen
    ]


def _notes(name: str, metrics: Mapping[str, Number]) -> Iterator[str]:
    """The interval of a figure and its range over the seeds, where the metrics have them."""
    for label, ends in RANGES.items():
        low, high = (metrics.get(f"{name}_{end}") for end in ends)
        if low is not None and high is not None:
            yield f"{label} {figure(name, low)} to {figure(name, high)}"


def points(value: Number) -> str:
    return f"{100 * value:+.2f} percentage points"


def percent(value: Number) -> str:
    return f"{value:.2%}"


# The first pattern that matches a name formats its value.
READINGS: dict[str, Callable[[Number], str]] = {
    "*accuracy_difference*": points,
    "test_error_difference*": points,
    "*accuracy*": percent,
    "test_error": percent,
    "*_share": percent,
    "*confidence": percent,
    "*gflop_per_s": lambda value: f"{value:.3g} GFLOP/s",
    "*gbyte_per_s": lambda value: f"{value:.3g} GB/s",
    "*_per_s": lambda value: f"{plain_number(value)}/s",
    "*_s": elapsed,
    "*seconds": elapsed,
    "*_mb": lambda value: f"{plain_number(value)} MB",
    "*seed": str,
}

# The endings of names, and what replaces them in a label
UNITS = {
    "_gflop_per_s": " speed",
    "_gbyte_per_s": " memory speed",
    "_per_s": "",
    "_s": "",
    "_seconds": " time",
    "_mb": "",
}
RANGES = {"95% interval": ("low", "high"), "seeds": ("worst", "best")}
