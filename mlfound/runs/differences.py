"""In what two runs differ: config, environment and figures."""

from collections.abc import Callable, Mapping
from typing import Any

from mlfound.config.documents import flat
from mlfound.report.figures import figure
from mlfound.runs.columns import text
from mlfound.runs.listing import NOTHING
from mlfound.runs.reader import Run

# facts of `run.json` that two runs never share, or that another section shows
OWN_FACTS = ("schema", "id", "command_line", "network", "start", "end", "error", "resumed", "paused_seconds")


def differences(a: Run, b: Run) -> dict[str, list[tuple[str, str, str]]]:
    """By section, the keys whose values differ, and both values as text; empty where a run has no such key."""
    return {
        "config": _differing(a.config, b.config),
        "run.json": _differing(facts(a), facts(b)),
        "figures": _differing(a.metrics, b.metrics, figure),
    }


def facts(run: Run) -> dict[str, Any]:
    return {key: value for key, value in run.facts.items() if key not in OWN_FACTS}


def _differing(
    a: Mapping[str, Any],
    b: Mapping[str, Any],
    write: Callable[[str, Any], str] = lambda key, value: text(value),
) -> list[tuple[str, str, str]]:
    first, second = dict(flat(a)), dict(flat(b))
    rows = []
    for key in {**first, **second}:
        values = [each.get(key, NOTHING) for each in (first, second)]
        plain = [text(value) for value in values]
        if plain[0] != plain[1]:
            left, right = ("" if value is NOTHING else write(key, value) for value in values)
            # the same where they differ in digits that are not shown
            rows.append((key, *((left, right) if left != right else (plain[0], plain[1]))))
    return rows
