"""From what varies to the cells of a sweep, each checked before anything runs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any

from mlfound.config.documents import flat
from mlfound.config.keys import anywhere, dataset_or_folder
from mlfound.config.loading import Override, override, validated
from mlfound.config.models import CONFIGS
from mlfound.config.sweeps import SweepConfig, seeds_of
from mlfound.errors import UserError
from mlfound.experiments.comparison.differences import setting
from mlfound.runs.plain_files import read_json
from mlfound.runs.status import schema_problem
from mlfound.sweeps.axes import Said, read_axes

CASE = "case"  # the name of what varies where cases do
PATHS = {"data.dataset": dataset_or_folder, "dataset": dataset_or_folder, "model": anywhere}


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
    said = read_axes(path, settings, seeds, command, yes)
    notes = dict.fromkeys(said.notes)
    cells = list(cells_of(said, notes))
    if not said.axes and not said.cases:  # only now: what was to be several values may be a mistake
        raise UserError("nothing varies; write several values, as in optimizer.lr=0.05,0.1, or --seeds 0-9")
    refuse_equal(cells)
    axes = {key: [from_anywhere(key, value) for value in axis.values] for key, axis in said.axes.items()}
    axes.pop("seed", None)
    given = {key: value for key, value in flat(said.given) if key not in said.axes or key.endswith(".name")}
    document = SweepConfig(
        command=said.config.command,
        vary=nested(axes),
        cases={name: nested(dict(flat(keys))) for name, keys in said.config.cases.items()},
        seeds=said.config.seeds,
        **nested(given),
    )
    return Grid(document, cells, {**({CASE: [*said.cases]} if said.cases else {}), **axes}, [*notes])


def grid_of(sweep: Path) -> Grid:
    """The grid of a sweep that has begun, by its own config; UserError where this folder is no sweep's."""
    facts = read_json(sweep / "run.json")
    if problem := schema_problem(facts):
        raise UserError(f"{sweep / 'run.json'}: {problem}")
    if facts.get("command") != "sweep":
        raise UserError(f"{sweep}: a run of {facts.get('command')}; name the folder of a sweep")
    return read_grid(sweep / "config.yaml", yes=True)


def cells_of(said: Said, notes: dict[str, None]) -> Iterator[Cell]:
    """Case by case, every combination of the values, seed by seed; the lines about them go into `notes`."""
    command, number = said.config.command, 0
    others = [axis for axis in said.axes.values() if axis.key != "seed"]
    seeds = said.axes["seed"].values if "seed" in said.axes else [None]
    for case, combination in product(said.cases or [""], product(*(axis.values for axis in others))):
        varied = [
            Override(axis.key, value, axis.origin) for axis, value in zip(others, combination, strict=True)
        ]
        overrides = [*said.cases.get(case, ()), *varied]
        if "seed" in said.axes:  # the largest, so that all are valid if it is
            overrides.append(Override("seed", max(seeds), said.axes["seed"].origin))
        given, origins = deepcopy(said.given), dict(said.origins)
        notes.update(dict.fromkeys(override(CONFIGS[command], given, origins, overrides)))
        config = validated(CONFIGS[command], given, origins)
        whole = dict(flat(config.model_dump(mode="json", by_alias=True)))
        if whole.get("threads") == "auto":
            whole["threads"] = 1  # cells run side by side; and so they have the same bits wherever they run
        if len(seeds) > 1 and whole.get("replicates", 1) > 1:
            raise UserError(
                f"{said.axes['seed'].origin}: replicates {whole['replicates']} are seeds, too, and would be counted "
                "several times; leave replicates out"
            )
        settings = {CASE: case} if case else {}
        settings |= {each.key: from_anywhere(each.key, each.value) for each in varied}
        for seed in seeds:
            number += 1
            yield Cell(number, command, settings, seed, whole if seed is None else {**whole, "seed": seed})


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


def refuse_equal(cells: Sequence[Cell]) -> None:
    """A value that is written twice, or two ways of saying the same."""
    seen: dict[str, Cell] = {}
    for cell in cells:
        if (other := seen.setdefault(cell.name, cell)) is not cell:
            numbers = f"cells {other.number} and {cell.number}"
            if str(other) == str(cell):
                raise UserError(f"{cell} is there twice, as {numbers}; write each value once")
            raise UserError(f"{numbers} are the same, {other} and {cell}; leave one out")
