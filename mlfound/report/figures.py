"""Formats a figure by its name in the summary and the CSVs: its label and its value with unit.

Names carry their unit (`train_seconds`, `median_s`, `peak_gflop_per_s`), fractions are 0 to 1.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
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
    if isinstance(value, bool) or not isinstance(value, int | float):
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


def headlines(command: str | None, metrics: Mapping[str, Number], at_most: int) -> list[Headline]:
    """The most important figures of a run of `command`; of an unknown command the first ones."""
    patterns = HEADLINES.get(command or "", ())
    chosen = [name for pattern in patterns for name in metrics if fnmatchcase(name, pattern)] or list(metrics)
    return [
        Headline(words(name), figure(name, metrics[name]), ", ".join(_notes(name, metrics)))
        for name in dict.fromkeys(chosen[:at_most])
    ]


def _notes(name: str, metrics: Mapping[str, Number]) -> Iterator[str]:
    """The interval of a figure and its range over the seeds, where the metrics have them."""
    for label, ends in RANGES.items():
        low, high = (metrics.get(f"{name}_{end}") for end in ends)
        if low is not None and high is not None:
            yield f"{label} {figure(name, low)} to {figure(name, high)}"


def percent(value: Number) -> str:
    return f"{value:.2%}"


# The first pattern that matches a name formats its value.
READINGS: dict[str, Callable[[Number], str]] = {
    "*accuracy_difference*": lambda value: f"{100 * value:+.2f} percentage points",
    "*accuracy*": percent,
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

# The metrics of a command to show first, most important first
HEADLINES: dict[str, Sequence[str]] = {
    "train": (
        "test_accuracy", "test_wrong", "replicates", "test_loss", "valid_accuracy", "train_loss", "epochs",
        "train_seconds", "images_per_s", "parameters",
    ),
    "normalize-check": ("train_mean_after", "train_std_after", "valid_*_after", "test_*_after"),
    "init-stats": (
        "kaiming_relu_mean", "kaiming_relu_std", "kaiming_signal_*", "torch-default_signal_*",
        "kaiming_four_*", "torch-default_four_*",
    ),
    "matmul-bench": ("peak_gflop_per_s", "gbyte_per_s", "matmul_*", "loops_*"),
    "backprop-bench": ("*_over_*", "modules_*"),
    "compare": ("*_difference", "p", "seeds", "differences_seen", "comparisons"),
    "download": ("files", "bytes", "seconds"),
}  # fmt: skip
