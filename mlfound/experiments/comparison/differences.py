"""In what runs differ: their config by dotted key, and their data by content."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from mlfound.config import models
from mlfound.config.documents import flat
from mlfound.results import EarlierRun

CHANCE = ("seed", "replicates")  # keys that a comparison averages over
HOW = ("device", "threads", "engine", "product", "checkpoint", "expect")  # rounding and bookkeeping only
ABSENT = ""  # the value of a key that a run's kind of a section lacks; no setting is an empty text


def settings(run: EarlierRun) -> dict[str, Any]:
    """The run's config by dotted key; a key that is younger than the run has its default."""
    return {**usual(run), **dict(flat(run.config))}


def usual(run: EarlierRun) -> dict[str, Any]:
    """The defaults by dotted key, of the kinds of sections that the run has."""
    return models.usual(run.facts["command"], run.config)


def content(run: EarlierRun) -> str:
    """What data a run saw, whatever its name: equal text is equal files, validation images and test images."""
    dataset = run.facts.get("dataset") or {}
    return formatted([dataset.get("digest"), images(run, "valid"), images(run, "test")])


def images(run: EarlierRun, split: str) -> int | None:
    """How many images there are in a split; None where the run does not say it."""
    rows = (run.facts.get("dataset") or {}).get("rows")
    count = rows.get(split) if isinstance(rows, Mapping) else None
    return count if isinstance(count, int) else None


def data(run: EarlierRun) -> str:
    """The name of a run's data and the beginning of its digest."""
    dataset = run.facts.get("dataset") or {}
    return f"{dataset.get('name', 'none')} {str(dataset.get('digest') or '')[:8]}".strip()


def without(row: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The row without the keys and the sections of these names."""
    return {key: value for key, value in row.items() if not {key, key.partition(".")[0]} & {*names}}


def differing(rows: Iterable[Mapping[str, Any]], besides: Collection[str] = ()) -> dict[str, list[Any]]:
    """The keys whose values are not the same in all rows, with the values in order."""
    rows = list(rows)
    keys = without({key: None for row in rows for key in row}, besides)
    columns = {key: [row.get(key, ABSENT) for row in rows] for key in keys}
    return {key: values for key, values in columns.items() if len(set(map(formatted, values))) > 1}


def distinguishing(runs: Sequence[EarlierRun], *besides: str) -> dict[str, list[Any]]:
    """The keys in which runs differ, with the values in order: none of CHANCE and HOW.

    Where a section is of several kinds, none of its keys that have the defaults of each run's kind.
    """
    different = differing(map(settings, runs), (*CHANCE, *HOW, *besides))

    def follows(key: str) -> bool:
        kind = f"{key.rpartition('.')[0]}.name"
        at_defaults = all(settings(run).get(key) == usual(run).get(key) for run in runs)
        return key != kind and kind in different and at_defaults

    return {key: values for key, values in different.items() if not follows(key)}


def shared(different: Mapping[str, Sequence[Any]]) -> list[str]:
    """Those of some keys that every run has, whatever the kinds of its sections."""
    return [key for key, values in different.items() if ABSENT not in values]


def described(different: Mapping[str, Sequence[Any]]) -> list[str]:
    """The values of some keys in words, for each of those that differ in them: `relu_shift 0.5, epochs 2`."""
    columns = [[setting(key, value) for value in values] for key, values in different.items()]
    return [", ".join(filter(None, row)) for row in zip(*columns, strict=True)]


def setting(key: str, value: Any) -> str:
    """One setting in words; a kind needs no more than its name."""
    if value == ABSENT:
        return ""
    _, _, word = key.rpartition(".")
    return worded(value) if word == "name" else f"{word} {worded(value)}"


def worded(value: Any) -> str:
    """A setting's value; pieces of a schedule as `linear 0.1 to 1 (30%), cosine 1 to 0 (70%)`."""
    if not (isinstance(value, list) and value and all(isinstance(each, Mapping) for each in value)):
        return formatted(value)
    if len(value) > 3:
        return f"of {len(value)} pieces"
    try:
        pieces = [f"{each['name']} {each['from']:g}" for each in value]
        ends = ["" if each.get("to") is None else f" to {each['to']:g}" for each in value]
        shares = [f" ({each['share']:.0%})" if len(value) > 1 else "" for each in value]
    except (KeyError, TypeError, ValueError):  # a config that was edited by hand
        return formatted(value)
    return ", ".join(map("".join, zip(pieces, ends, shares, strict=True)))


def numbered(labels: Sequence[str]) -> list[str]:
    """Labels of which no two are equal."""
    return [
        label if label not in labels[:n] else f"{label} ({n + 1})".strip() for n, label in enumerate(labels)
    ]


def formatted(value: Any) -> str:
    """A setting as text; equal text is an equal setting."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
