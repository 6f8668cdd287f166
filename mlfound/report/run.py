"""One run on the terminal: status, config, figures, checks, and where its files are."""

import math
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console

from mlfound.errors import printable
from mlfound.report.contents import Contents
from mlfound.report.terminal import say, show
from mlfound.report.views import reason, view
from mlfound.results import Check, Column, Result, Table


def show_run(contents: Contents, console: Console) -> None:
    """Print the run, its path last."""
    seen = view(contents)
    say(console, f"{seen['id']}  {seen['status']}", "bold")
    say(console, ", ".join(seen["facts_in_short"]))
    for label, text in (("tags", ", ".join(contents.tags)), ("note", contents.note)):
        if text:
            say(console, printable(f"{label}: {text}"))
    for problem in seen["problems"]:
        say(console, problem, "red")
    for line in ("", *seen["config"].split("\n"), ""):
        say(console, line)
    columns = (Column("figure"), Column("value"))
    tables = [Table("figures", "Figures", columns, seen["metrics"])] if seen["metrics"] else []
    checks = list(_checks(contents.summary))
    show(Result({}, checks=checks, findings=seen["findings"], tables=tables), console)
    if contents.sheets:
        sheets = [f"{sheet.name} ({sheet.total:,})" for sheet in contents.sheets]
        say(console, "")
        say(console, f"tables: {', '.join(sheets)}")
    if contents.plots:
        say(console, f"plots: {', '.join(plot.name for plot in contents.plots)}")
    for line in _ending(contents):
        say(console, printable(line))
    say(console, f"Repeat with: {seen['repeat']}")
    say(console, seen["path"])


def _ending(contents: Contents) -> Iterator[str]:
    """Why a run ended before its time, what it said last, and how to go on."""
    said, status = reason(contents), contents.facts["status"]
    if not said:
        return
    yield ""
    yield said
    log = contents.log.splitlines()[-LOG_LINES:] if status != "interrupted" else ()
    if log:
        yield "The end of log.txt:"
        yield from (f"  {line}" for line in log)
    if contents.facts.get("command") == "train":
        yield f"Go on with: {shlex.join(['mlfound', 'train', '--resume', contents.path])}"


LOG_LINES = 10


def _checks(summary: Mapping[str, Any]) -> Iterator[Check]:
    checks = summary.get("checks")
    for check in checks if isinstance(checks, list) else ():
        if isinstance(check, dict):
            value, bound = (_number(check.get(key)) for key in ("value", "bound"))
            yield Check(str(check.get("name")), check.get("passed") is True, value, bound)


def _number(value: object) -> float:
    return value if isinstance(value, int | float) else math.nan
