"""One run on the terminal: status, config, figures, checks, and where its files are."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from mlfound.report.contents import Contents
from mlfound.report.terminal import show
from mlfound.report.views import view
from mlfound.results import Check, Column, Result, Table


def show_run(contents: Contents, console: Console) -> None:
    """Print the run, its path last."""
    seen = view(contents)
    _say(console, f"{seen['id']}  {seen['status']}", "bold")
    _say(console, ", ".join(seen["facts_in_short"]))
    for problem in seen["problems"]:
        _say(console, problem, "red")
    _say(console, f"\n{seen['config']}\n")
    columns = (Column("figure"), Column("value"))
    tables = [Table("figures", "Figures", columns, seen["metrics"])] if seen["metrics"] else []
    show(
        Result({}, checks=list(_checks(contents.summary)), findings=seen["findings"], tables=tables), console
    )
    for kind, names in _files(contents):
        _say(console, f"{kind}: {', '.join(names)}")
    _say(console, f"Repeat with: {seen['repeat']}")
    _say(console, seen["path"])


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(Text(text, style), soft_wrap=True)


def _checks(summary: Mapping[str, Any]) -> Iterator[Check]:
    checks = summary.get("checks")
    for check in checks if isinstance(checks, list) else ():
        if isinstance(check, dict):
            yield Check(
                str(check.get("name")),
                check.get("passed") is True,
                _number(check.get("value")),
                _number(check.get("bound")),
            )


def _number(value: object) -> float:
    return value if isinstance(value, int | float) else math.nan


def _files(contents: Contents) -> Iterator[tuple[str, list[str]]]:
    if contents.sheets:
        yield "\ntables", [f"{sheet.name} ({sheet.total:,})" for sheet in contents.sheets]
    if contents.plots:
        yield "plots", [plot.name for plot in contents.plots]
