"""What a run folder holds, read back for people to see: plain data, every part of it possibly missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Sheet:
    """A CSV file: its first rows, and how many there are in all. Every row is as long as the header."""

    name: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    total: int


@dataclass(frozen=True)
class Plot:
    """A PNG file, and its size in pixels."""

    name: str
    png: bytes
    width: int
    height: int
    alternative: str = ""  # what it shows, in words


@dataclass(frozen=True)
class Contents:
    """`facts` are its `run.json`, `summary` its `summary.json`; `problems` tells of what could not be read."""

    path: str
    title: str  # what was measured on what
    facts: Mapping[str, Any]
    seconds: float | None  # how long it took
    summary: Mapping[str, Any] = field(default_factory=dict)
    config: str = ""
    changed: Sequence[tuple[str, str, str]] | None = (
        None  # settings that are not the defaults: key, value, default
    )
    log: str = ""  # its end
    sheets: Sequence[Sheet] = ()
    plots: Sequence[Plot] = ()
    problems: Sequence[str] = ()
    tags: Sequence[str] = ()
    note: str = ""


def as_json(contents: Contents) -> dict[str, Any]:
    """As plain data for a program: files by their paths in the folder."""
    return {
        **{key: contents.facts.get(key) for key in ("id", "command", "status")},
        "path": contents.path,
        "seconds": contents.seconds,
        "tags": list(contents.tags),
        "note": contents.note,
        "run": contents.facts,
        "config": contents.config,
        "metrics": contents.summary.get("metrics", {}),
        "checks": contents.summary.get("checks", []),
        "findings": contents.summary.get("findings", []),
        "tables": [f"tables/{sheet.name}.csv" for sheet in contents.sheets],
        "plots": [f"plots/{plot.name}.png" for plot in contents.plots],
        "problems": list(contents.problems),
    }
