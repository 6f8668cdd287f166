"""Runs that differ in one key and nothing else, but for their seeds: each group of them is a family of sides.

With the kind of a section (`optimizer.name`) its other keys change too. Keys that only one kind has do not count
then, nor do those that both have where each is at the default of its kind.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from operator import itemgetter

from mlfound.config.documents import flat
from mlfound.config.explaining import unknown_in
from mlfound.config.keys import defaults, fields
from mlfound.config.training import TrainConfig
from mlfound.errors import UserError, some
from mlfound.experiments.comparison.differences import (
    CHANCE,
    HOW,
    content,
    data,
    described,
    distinguishing,
    formatted,
    images,
    numbered,
    setting,
    settings,
    shared,
    usual,
    without,
)
from mlfound.experiments.comparison.sides import Family, Side
from mlfound.results import EarlierRun

Group = Sequence[Sequence[EarlierRun]]  # the runs of each side


def families(key: str, runs: Sequence[EarlierRun]) -> list[Family]:
    """The families of runs that differ in `key`, those with the most images first, in each the default's side.

    UserError for a key that cannot be.
    """
    refuse(key, runs)
    alike = defaultdict(list)
    for run in runs:  # the data counts by its content, not by its name or path
        same = without(settings(run), (*CHANCE, *HOW, "data.dataset", section(key)))
        alike[formatted([content(run), same])].append(run)
    groups = [group for same in alike.values() for group in counterparts(key, same)]
    groups.sort(key=lambda group: -sum(images(group[0][0], split) or 0 for split in ("valid", "test")))
    return [
        [Side(label, members, name) for label, members in zip(labels(key, group), group, strict=True)]
        for name, group in zip(names(key, groups), groups, strict=True)
    ]


def refuse(key: str, runs: Sequence[EarlierRun]) -> None:
    """A UserError for a key by which runs cannot be grouped."""
    known = {name: None for run in runs for name in settings(run)} or fields(TrainConfig)
    if key.partition(".")[0] in CHANCE:
        raise UserError(f"{key} is what a comparison averages over; name another key", key="group")
    if key == "data.dataset":
        message = "figures of different data are not compared; name another key"
        raise UserError(f"{key}: {message}", key="group")
    if key not in known:
        raise UserError(unknown_in(TrainConfig, key, {}), key="group")


def section(key: str) -> str:
    """What changes with a key: itself, and with a kind its section."""
    above, _, word = key.rpartition(".")
    return above if word == "name" else key


def counterparts(key: str, runs: Sequence[EarlierRun]) -> Iterator[Group]:
    """Of runs that are alike but for what changes with `key`: the sides that belong together, one reference first."""
    sides: dict[str, list[EarlierRun]] = {}
    for place, run in sorted(((rank(key, run), run) for run in runs), key=itemgetter(0)):
        sides.setdefault(place[-1], []).append(run)
    placed: set[str] = set()
    for side, members in sides.items():
        if side in placed:
            continue
        first, value = members[0], settings(members[0]).get(key)
        unlike = [each for each in sides if settings(sides[each][0]).get(key) != value]
        if others := [each for each in unlike if not besides(key, first, sides[each][0])]:
            placed |= {side, *others}
            yield [members, *map(sides.__getitem__, others)]


def rank(key: str, run: EarlierRun) -> tuple[bool, float, str, int, str]:
    """The default first, then numbers by size, then words by the alphabet; of a kind its own defaults first."""
    row, defaults_of = settings(run), usual(run)
    value = row.get(key)
    default = defaults_of.get(key) if section(key) == key else dict(flat(defaults(TrainConfig, {}))).get(key)
    number = float(value) if isinstance(value, int | float) else math.inf
    own = {name: each for name, each in row.items() if name == key or name.startswith(f"{section(key)}.")}
    changed = sum(each != defaults_of.get(name) for name, each in own.items())
    return value != default, number, formatted(value), changed, formatted(own)


def besides(key: str, first: EarlierRun, second: EarlierRun) -> list[str]:
    """In what two runs differ that are to differ in `key` alone."""
    different = distinguishing([first, second], "data.dataset")
    return ["data"] * (content(first) != content(second)) + [
        each for each in shared(different) if each != key
    ]


def obstacle(key: str, runs: Sequence[EarlierRun]) -> str:
    """Why the newest run has no counterpart: what else differs in the one that is nearest to it."""
    if not runs:
        return ""
    newest, value = runs[-1], settings(runs[-1]).get(key)
    others = [run for run in runs if settings(run).get(key) != value]
    if not others:
        return f": all have {setting(key, value)}"
    nearest = min(others, key=lambda run: len(besides(key, newest, run)))
    ids = f"{nearest.facts['id']} and {newest.facts['id']}"
    return f": {ids} differ in {some(besides(key, newest, nearest))} too"


def labels(key: str, group: Group) -> list[str]:
    firsts = [members[0] for members in group]
    if section(key) == key:
        return numbered([setting(key, settings(run).get(key)) for run in firsts])
    return numbered(described(distinguishing(firsts, "data.dataset")))


def names(key: str, groups: Sequence[Group]) -> list[str]:
    """What the runs of each family have in common and those of the others do not; nothing for a single one."""
    firsts = [group[0][0] for group in groups]
    different = distinguishing(firsts, *[key] * (section(key) == key))
    if len({*map(data, firsts)}) > len({settings(run).get("data.dataset") for run in firsts}):
        different["data.name"] = [data(run) for run in firsts]  # one name, and more than one content
    return numbered(described(different) or [""] * len(groups))
