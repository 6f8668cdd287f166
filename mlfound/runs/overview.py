"""What `index.html` knows of the runs: the columns of the list, and all settings and figures to compare."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from mlfound.config.documents import flat
from mlfound.errors import printable
from mlfound.report.figures import figure
from mlfound.runs.columns import columns_of, text
from mlfound.runs.differences import facts
from mlfound.runs.folder import finite
from mlfound.runs.reader import Run


def overview(runs: Sequence[Run]) -> dict[str, Any]:
    """Plain data for the page's script, every text printable.

    `columns` are label, cells and sort keys (a number, or null where the text sorts); `sections` have the names of
    all settings, facts and figures, and for each run their texts in that order, null where it has none.
    """
    columns = columns_of(runs)
    for number, column in enumerate(columns):
        if column.label == "key figure":  # of several commands: sorted by its number, once they are filtered
            columns[number] = replace(column, keys=[next(iter(run.metrics.values()), None) for run in runs])
    found = {
        "runs": [{"id": printable(run.id), "page": page_of(run)} for run in runs],
        "columns": [
            {
                "label": printable(each.label),
                "cells": list(map(printable, each.cells)),
                "keys": list(each.keys) or None,
            }
            for each in columns
        ],
        "sections": [
            {"title": "Settings", **section(dict(flat(run.config)) for run in runs)},
            {"title": "Figures", **section((run.metrics for run in runs), of_metrics=True)},
            {"title": "Run and machine", **section(dict(flat(facts(run))) for run in runs)},
        ],
    }
    return dict(finite(found))


def page_of(run: Run) -> str | None:
    """The address of its page, seen from the runs folder."""
    there = os.path.isfile(run.path / "report.html")
    return f"./{quote(os.fsencode(run.id))}/report.html" if there else None


def section(found: Iterable[dict[str, Any]], of_metrics: bool = False) -> dict[str, Any]:
    """The names that any of these have, and for each of these its texts in their order."""
    each = list(found)
    names = list(dict.fromkeys(name for values in each for name in values))
    write = figure if of_metrics else lambda _, value: text(value)
    texts = [
        [printable(write(name, values[name])) if name in values else None for name in names]
        for values in each
    ]
    return {"names": list(map(printable, names)), "values": texts}
