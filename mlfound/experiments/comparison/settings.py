"""What besides chance may have made a difference: settings, machines, versions and code that are not the same."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from mlfound.config.documents import flat
from mlfound.experiments.comparison.comparisons import Comparison
from mlfound.experiments.comparison.sides import CHANCE, Side, differing, formatted, settings
from mlfound.results import Column, EarlierRun, Result, Table

MAX_VALUES = 3  # of one side in a cell
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
        columns += [Column(side.title, of=partial(values, side, read)) for side in sides]
        keys = differing([read(run) for side in sides for run in side.runs], besides)
        tables += [Table.of(name, title, columns, keys)] if keys else []
    return Result({}, tables=tables)


def values(side: Side, read: Callable[[EarlierRun], Mapping[str, Any]], key: str) -> str:
    """The different values of the side's runs for a key, and how many more there are."""
    different = list(dict.fromkeys(formatted(read(run).get(key)) for run in side.runs))
    more = len(different) - MAX_VALUES
    return "; ".join(different[:MAX_VALUES]) + (f"; {more} more" if more > 0 else "")


def circumstances(run: EarlierRun) -> dict[str, Any]:
    """What a run ran on and with, by dotted name."""
    environment = {**run.facts["environment"]}
    git = environment.pop("git", None) or {}
    facts = {name: value for name, value in flat(environment) if name not in ASIDE}
    facts |= {name: run.facts.get(name) for name in ("device", "threads", "engine")}
    commit = str(git.get("commit", "unknown"))[:10]
    return {**facts, "git commit": f"{commit} and uncommitted changes" if git.get("dirty") else commit}


def cautions(comparisons: Sequence[Comparison], sides: Sequence[Side]) -> Iterator[str]:
    for each in comparisons:
        first, second = each.first.runs[0], each.second.runs[0]
        keys = differing([settings(first), settings(second)], besides=CHANCE)
        if first.path == second.path:
            yield f"{each.first.title} and {each.second.title} are the same run."
        elif not keys:
            yield f"{each.first.title} and {each.second.title} have the same settings, but for the seeds."
        elif len(keys) > 1:
            yield f"{each.second.title} differs in {len(keys)} settings, {', '.join(keys)}: it may be any."
    if names := differing([circumstances(run) for side in sides for run in side.runs]):
        yield f"Not run alike: {', '.join(names)} differ{'s' * (len(names) == 1)}."
