"""In what two runs differ: config, environment and figures."""

import json
from collections.abc import Mapping
from typing import Any

from mlfound.config.documents import flat
from mlfound.report.figures import figure
from mlfound.runs.reader import Run

NOTHING: Any = object()
# facts of `run.json` that two runs never share, or that another section shows
OWN_FACTS = ("schema", "id", "command_line", "start", "end", "error", "resumed", "paused_seconds")


def differences(a: Run, b: Run) -> dict[str, list[tuple[str, str, str]]]:
    """By section, the keys whose values differ, and both values as text; empty where a run has no such key."""
    return {
        "config": _differing(a.config, b.config),
        "run.json": _differing(facts(a), facts(b)),
        "figures": _differing(a.metrics, b.metrics, of_metrics=True),
    }


def facts(run: Run) -> dict[str, Any]:
    return {key: value for key, value in run.facts.items() if key not in OWN_FACTS}


def _differing(
    a: Mapping[str, Any], b: Mapping[str, Any], of_metrics: bool = False
) -> list[tuple[str, str, str]]:
    first, second = dict(flat(a)), dict(flat(b))
    rows = []
    for key in {**first, **second}:
        values = first.get(key, NOTHING), second.get(key, NOTHING)
        if _plain(values[0]) != _plain(values[1]):
            left, right = (_text(key, value, of_metrics) for value in values)
            if left == right:  # they differ in digits that are not shown
                left, right = map(_plain, values)
            rows.append((key, left, right))
    return rows


def _text(key: str, value: Any, of_metrics: bool) -> str:
    return figure(key, value) if of_metrics and value is not NOTHING else _plain(value)


def _plain(value: Any) -> str:
    """As configs spell it."""
    if value is NOTHING:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
