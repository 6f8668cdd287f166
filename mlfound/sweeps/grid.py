"""From a config with several values for some keys to the cells of a sweep, each checked before anything runs."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any

from mlfound.config.documents import DocumentError, flat, read
from mlfound.config.keys import Config, anywhere, dataset_or_folder
from mlfound.config.loading import Override, override, parse_set, read_given, validated
from mlfound.config.models import CONFIGS
from mlfound.config.sweeps import SweepConfig, seeds_of
from mlfound.errors import UserError
from mlfound.experiments.comparison.differences import setting
from mlfound.runs.plain_files import read_json
from mlfound.runs.status import schema_problem

CASE = "case"  # the name of what varies where cases do
PATHS = {"data.dataset": dataset_or_folder, "dataset": dataset_or_folder, "model": anywhere}
OWN = tuple(SweepConfig.model_fields)  # keys of a file that are the sweep's and not the command's
MAX_CELLS = 1_000  # with more somebody has to say that they are meant


@dataclass(frozen=True)
class Axis:
    """A key that varies, with its values in their order, and where that was said."""

    key: str
    values: Sequence[Any]
    origin: str


@dataclass(frozen=True)
class Cell:
    """One run: the whole config of its command by dotted key. Its settings are what varies, but for the seed."""

    number: int  # from 1
    command: str
    settings: Mapping[str, Any]
    seed: int | None  # None: the seed is that of the config
    config: Mapping[str, Any]

    @cached_property
    def name(self) -> str:
        """It tells cells of different configs apart, and goes into the name of the run folder."""
        return sha256(json.dumps([self.command, self.config], sort_keys=True).encode()).hexdigest()[:12]

    @property
    def setting(self) -> str:
        """`relu_shift 0.5, lr 0.1`; empty where the seed alone varies."""
        return ", ".join(v if k == CASE else setting(k, v) for k, v in self.settings.items())

    def __str__(self) -> str:
        return ", ".join(filter(None, [self.setting, "" if self.seed is None else f"seed {self.seed}"]))


@dataclass(frozen=True)
class Grid:
    """All cells, and the document that means the same grid again. `notes` are lines for the user."""

    config: SweepConfig
    cells: Sequence[Cell]
    axes: Mapping[str, Sequence[Any]]  # what varies, but for the seed, with its values
    notes: Sequence[str]

    @property
    def seeds(self) -> list[int]:
        return seeds_of(self.config.seeds) if self.config.seeds else []


def read_grid(
    path: Path | None,
    settings: Sequence[tuple[str, str]] = (),
    seeds: str | None = None,
    command: str | None = None,
    *,
    yes: bool = False,
) -> Grid:
    """The grid of a YAML file and of KEY=VALUE texts, each with the flag before it; `command` wins over the file's.

    UserError, in one line, for a mistake in any cell, for what is no grid, and for very many cells without `yes`.
    """
    given, origins = read_given(path) if path is not None else ({}, {})
    own = {key: given.pop(key) for key in OWN if key in given}
    if command is not None:
        own["command"], origins["command"] = command, f"--command {command}"
    if seeds is not None:
        own["seeds"], origins["seeds"] = seeds, f"--seeds {seeds}"
    config = validated(SweepConfig, own, origins)
    axes = {axis.key: axis for axis in axes_of(config, origins)}
    cases = {name: overrides_of(f"cases.{name}", keys, origins) for name, keys in config.cases.items()}
    of_seeds = Axis("seed", seeds_of(config.seeds) if config.seeds else [], origins.get("seeds", ""))
    for axis in [*axes.values(), *([of_seeds] if config.seeds and seeds is None else [])]:
        refuse_fixed_beside(axis, given, origins)
    fixed = []
    for text, flag in settings:
        values = several(text)
        if values is None:
            fixed.append(parse_set(text, flag))
        else:
            key = text.partition("=")[0]
            axes[key] = Axis(key, values, f"{flag}{text}")
    if "seed" in axes:
        raise UserError(f"{axes['seed'].origin}: the seed is what figures are averaged over; write --seeds")
    if config.seeds is not None:
        axes["seed"] = of_seeds
    refuse_twice(axes, cases, fixed)
    refuse_size(axes, cases, yes)

    model = CONFIGS[config.command]
    own_origins = {key: origin for key, origin in origins.items() if key.partition(".")[0] not in OWN}
    notes = dict.fromkeys(override(model, given, own_origins, fixed))
    cells = list(cells_of(config.command, given, own_origins, axes, cases, notes))
    if not axes and not cases:  # only now: what was to be several values may be a mistake
        raise UserError("nothing varies; write several values, as in optimizer.lr=0.05,0.1, or --seeds 0-9")
    refuse_equal(cells)
    varies = {key: distinct(cell.settings.get(key) for cell in cells) for key in (CASE, *axes)}
    varies = {key: values for key, values in varies.items() if key in cells[0].settings}
    document = SweepConfig(
        command=config.command,
        vary=nested({key: values for key, values in varies.items() if key != CASE}),
        cases={name: nested({each.key: each.value for each in case}) for name, case in cases.items()},
        seeds=config.seeds,
        **nested({key: value for key, value in flat(given) if key not in axes or key.endswith(".name")}),
    )
    return Grid(document, cells, varies, [*notes])


def grid_of(sweep: Path) -> Grid:
    """The grid of a sweep that has begun, by its own config; UserError where this folder is no sweep's."""
    facts = read_json(sweep / "run.json")
    if problem := schema_problem(facts):
        raise UserError(f"{sweep / 'run.json'}: {problem}")
    if facts.get("command") != "sweep":
        raise UserError(f"{sweep}: a run of {facts.get('command')}; name the folder of a sweep")
    return read_grid(sweep / "config.yaml", yes=True)


def several(text: str) -> list[Any] | None:
    """The values of `KEY=a,b` and `KEY=[50],[100,50]`; None where there is one."""
    try:
        values = read(f"[{text.partition('=')[2]}]")[0]
    except DocumentError:  # what is wrong with it is said by whoever reads it as one value
        return None
    return values if isinstance(values, list) and len(values) > 1 else None


def axes_of(config: SweepConfig, origins: Mapping[str, str]) -> Iterator[Axis]:
    """Those of `vary`, in its order."""
    for key, values in flat(config.vary):
        origin = origins.get(f"vary.{key}", "vary")
        if not isinstance(values, list) or not values:
            shown = "no values" if values == [] else f"{json.dumps(values)} is no list"
            raise UserError(f"{origin}: vary.{key}: {shown}; write the values in brackets, as in [0.05, 0.1]")
        yield Axis(key, values, origin)


def overrides_of(above: str, keys: Mapping[str, Any], origins: Mapping[str, str]) -> list[Override]:
    return [Override(key, value, origins.get(f"{above}.{key}", above)) for key, value in flat(keys)]


def cells_of(
    command: str,
    given: Mapping[str, Any],
    origins: Mapping[str, str],
    axes: Mapping[str, Axis],
    cases: Mapping[str, Sequence[Override]],
    notes: dict[str, None],
) -> Iterator[Cell]:
    """Case by case, every combination of the values, seed by seed; the lines about them go into `notes`."""
    model, number = CONFIGS[command], 0
    others = [axis for axis in axes.values() if axis.key != "seed"]
    seeds = axes["seed"].values if "seed" in axes else [None]
    for case, combination in product(cases or [None], product(*(axis.values for axis in others))):
        varied = [
            Override(axis.key, value, axis.origin) for axis, value in zip(others, combination, strict=True)
        ]
        overrides = [*(cases[case] if case else ()), *varied]
        if "seed" in axes:  # the largest, so that all are valid if it is
            overrides.append(Override("seed", max(seeds), axes["seed"].origin))
        values, where = deepcopy(dict(given)), dict(origins)
        notes.update(dict.fromkeys(override(model, values, where, overrides)))
        found = resolved(validated(model, values, where))
        settings = {CASE: case} if case else {}
        settings |= {each.key: from_anywhere(each.key, each.value) for each in varied}
        whole = dict(flat(found))
        for seed in seeds:
            number += 1
            yield Cell(number, command, settings, seed, whole if seed is None else {**whole, "seed": seed})


def resolved(config: Config) -> dict[str, Any]:
    """All of a config, nested. Of several runs side by side each has one thread, unless it is said otherwise."""
    values = config.model_dump(mode="json", by_alias=True)
    if values.get("threads") == "auto":
        values["threads"] = 1
    return values


def from_anywhere(key: str, value: Any) -> Any:
    """A value that means the same in whatever folder it is read again: paths become absolute."""
    return PATHS[key](value) if key in PATHS and isinstance(value, str) else value


def nested(keys: Mapping[str, Any]) -> dict[str, Any]:
    """Sections of dotted keys, as they mean the same anywhere."""
    found: dict[str, Any] = {}
    for key, value in keys.items():
        *sections, word = key.split(".")
        section = found
        for name in sections:
            section = section.setdefault(name, {})
        section[word] = from_anywhere(key, value)
    return found


def distinct(values: Iterator[Any]) -> list[Any]:
    """Each once, in their order; a list is a value too."""
    return list({json.dumps(value, sort_keys=True): value for value in values}.values())


def refuse_fixed_beside(axis: Axis, given: Mapping[str, Any], origins: Mapping[str, str]) -> None:
    """A file that both fixes a key and varies it; a kind may have its own keys beside it."""
    for key, _ in flat(given):
        if related(key, axis.key) and not axis.key.endswith(".name"):
            raise UserError(f"{axis.origin}: {axis.key} varies, and {origins[key]} fixes it; leave one out")


def refuse_twice(
    axes: Mapping[str, Axis], cases: Mapping[str, Sequence[Override]], fixed: Sequence[Override]
) -> None:
    """What is said twice: a key that varies and is fixed, or that varies by itself and in a case."""
    said = [(each.key, each.origin, "fixes") for each in fixed]
    in_cases = [(each.key, each.origin, "sets") for case in cases.values() for each in case]
    for axis in axes.values():
        for key, origin, verb in (*said, *in_cases):
            if related(key, axis.key):
                raise UserError(f"{axis.origin}: {axis.key} varies, and {origin} {verb} it; leave one out")
    for key, origin, _ in said:
        if clash := next((where for other, where, _ in in_cases if related(key, other)), None):
            raise UserError(f"{origin}: {key} varies with the cases ({clash}); leave one out")


def related(key: str, other: str) -> bool:
    """Whether they are one key, or one is in the other's section."""
    return f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.")


def refuse_size(axes: Mapping[str, Axis], cases: Mapping[str, Any], yes: bool) -> None:
    count = math.prod(len(axis.values) for axis in axes.values()) * max(1, len(cases))
    if count > MAX_CELLS and not yes:
        raise UserError(f"{count:,} cells are more than {MAX_CELLS:,}; --yes says that they are meant")


def refuse_equal(cells: Sequence[Cell]) -> None:
    """A value that is written twice, or two ways of saying the same."""
    seen: dict[str, Cell] = {}
    for cell in cells:
        if (other := seen.setdefault(cell.name, cell)) is not cell:
            raise UserError(f"cells {other.number} and {cell.number} are the same: {other}; and {cell}")
