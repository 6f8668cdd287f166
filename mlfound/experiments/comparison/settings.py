"""What besides chance may have made a difference: settings, machines, versions and code that are not the same."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from mlfound.config.documents import flat
from mlfound.errors import some
from mlfound.experiments.comparison.comparisons import Comparison
from mlfound.experiments.comparison.differences import (
    ABSENT,
    CHANCE,
    differing,
    formatted,
    settings,
    shared,
    without,
)
from mlfound.experiments.comparison.sides import Side
from mlfound.results import Column, EarlierRun, Result, Table

MAX_VALUES = 3  # of one side in a cell
CODE = "git commit"
ASIDE = ("cores", "system")  # of the environment: no figure depends on them


def run(sides: Sequence[Side]) -> Result:
    """The config keys that differ, but for the seeds, and the facts about machine, versions or code that do."""
    across = (
        ("settings", "Settings that differ", "key", settings, CHANCE),
        ("environment", "Environments differ", "fact", circumstances, ()),
    )
    tables = []
    for name, title, what, read, besides in across:
        columns = [Column(what, of=str)]
        columns += [Column(side.title, of=partial(values, side, read), rank=1) for side in sides]
        keys = differing([read(run) for side in sides for run in side.runs], besides)
        tables += [Table.of(name, title, columns, keys)] if keys else []
    return Result(tables=tables)


def values(side: Side, read: Callable[[EarlierRun], Mapping[str, Any]], key: str) -> str:
    """The different values of the side's runs for a key, and how many more there are."""
    different = list(dict.fromkeys(formatted(read(run).get(key, ABSENT)) for run in side.runs))
    more = len(different) - MAX_VALUES
    return "; ".join(different[:MAX_VALUES]) + (f"; {more} more" if more > 0 else "")


def circumstances(run: EarlierRun) -> dict[str, Any]:
    """What a run ran on and with, by dotted name, and the code."""
    facts = without(dict(flat(run.facts["environment"])), ("git", *ASIDE))
    how = {name: run.facts.get(name) for name in ("device", "threads", "engine")}
    return {**facts, **how, CODE: commit(run)}


def commit(run: EarlierRun) -> str:
    git = run.facts["environment"].get("git") or {}
    name = str(git.get("commit", "unknown"))[:10]
    return f"{name} and uncommitted changes" if git.get("dirty") else name


def cautions(comparisons: Sequence[Comparison], sides: Sequence[Side]) -> Iterator[str]:
    """What to beware of, the gravest first: a line for each kind."""
    measure = comparisons[0].measure
    if measure.name.startswith("test_"):
        yield f"Caution: settings chosen by {measure.label} are fitted to the test set."
    commits = [{commit(run) for run in side.runs} for side in sides]
    if any({*map(commit, each.first.runs)} != {*map(commit, each.second.runs)} for each in comparisons):
        yield f"Different git commits: {some(sorted(set().union(*commits)))}; the code may matter."
    yield from several_settings(comparisons)
    if names := differing([circumstances(run) for side in sides for run in side.runs], besides=[CODE]):
        yield f"Not run alike (tables/environment.csv): {some([*names])}."


def several_settings(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """Of sides that differ in no setting, or in more than one."""
    unlike = {}
    for each in comparisons:
        first, second = each.first.runs[0], each.second.runs[0]
        keys = shared(differing([settings(first), settings(second)], besides=CHANCE))
        if first.path == second.path:
            yield f"{each.first.title} and {each.second.title} are the same run."
        elif not keys:
            yield f"{each.first.title} and {each.second.title} have the same settings, but for the seeds."
        elif len(keys) > 1:
            unlike[each.second.title] = keys
    if len(unlike) == 1:
        [(title, keys)] = unlike.items()
        yield f"{title} differs in {len(keys)} settings: {some(keys)}; it may be any."
    elif unlike:
        yield f"{len(unlike)} of them differ in several settings: tables/settings.csv."
