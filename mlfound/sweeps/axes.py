"""What varies in a sweep, from its file and the command line; refused is what is said twice."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlfound.config.documents import DocumentError, flat, read
from mlfound.config.loading import Override, override, parse_set, read_given, validated
from mlfound.config.models import CONFIGS
from mlfound.config.sweeps import SweepConfig, seeds_of
from mlfound.errors import UserError

OWN = tuple(SweepConfig.model_fields)  # keys of a file that are the sweep's and not the command's
MAX_CELLS = 1_000  # with more somebody has to say that they are meant


@dataclass(frozen=True)
class Axis:
    """A key that varies, with its values in their order, and where that was said."""

    key: str
    values: Sequence[Any]
    origin: str
    in_file: bool = False


@dataclass(frozen=True)
class Said:
    """All that file and command line say; the seed is the last of the axes."""

    config: SweepConfig  # command, cases and seeds
    given: dict[str, Any]  # what every cell has, nested
    origins: dict[str, str]  # of what is given
    axes: Mapping[str, Axis]
    cases: Mapping[str, Sequence[Override]]
    notes: Sequence[str]


def read_axes(
    path: Path | None, settings: Sequence[tuple[str, str]], seeds: str | None, command: str | None, yes: bool
) -> Said:
    """See `read_grid`. What is typed wins over the file."""
    given, origins = read_given(path) if path is not None else ({}, {})
    own = {key: given.pop(key) for key in OWN if key in given}
    if command is not None:
        own["command"], origins["command"] = command, f"--command {command}"
    if seeds is not None:
        own["seeds"], origins["seeds"] = seeds, f"--seeds {seeds}"
    config = validated(SweepConfig, own, origins)
    cases = {
        name: [Override(key, value, origins[f"cases.{name}.{key}"]) for key, value in flat(keys)]
        for name, keys in config.cases.items()
    }
    axes = {axis.key: axis for axis in in_file(config, origins)}
    fixed = []
    for text, flag in settings:
        if values := several(text):
            key = text.partition("=")[0]
            axes[key] = Axis(key, values, f"{flag}{text}")
        else:
            fixed.append(parse_set(text, flag))
    if "seed" in axes:
        raise UserError(f"{axes['seed'].origin}: the seed is what figures are averaged over; write --seeds")
    if config.seeds is not None:
        axes["seed"] = Axis("seed", seeds_of(config.seeds), origins["seeds"], in_file=seeds is None)
    origins = {key: origin for key, origin in origins.items() if key.partition(".")[0] not in OWN}
    refuse_twice(axes, [each for case in cases.values() for each in case], fixed, given, origins)
    count = math.prod(len(axis.values) for axis in axes.values()) * max(1, len(cases))
    if count > MAX_CELLS and not yes:
        raise UserError(f"{count:,} cells are more than {MAX_CELLS:,}; --yes says that they are meant")
    notes = override(CONFIGS[config.command], given, origins, fixed)
    return Said(config, given, origins, axes, cases, notes)


def several(text: str) -> list[Any] | None:
    """The values of `KEY=a,b` and `KEY=[50],[100,50]`; None where there is one."""
    try:
        values = read(f"[{text.partition('=')[2]}]")[0]
    except DocumentError:  # what is wrong with it is said by whoever reads it as one value
        return None
    return values if isinstance(values, list) and len(values) > 1 else None


def in_file(config: SweepConfig, origins: Mapping[str, str]) -> Iterator[Axis]:
    """Those of `vary`, in its order."""
    for key, values in flat(config.vary):
        origin = origins[f"vary.{key}"]
        if not isinstance(values, list) or not values:
            shown = "no values" if values == [] else f"{json.dumps(values)} is no list"
            raise UserError(f"{origin}: vary.{key}: {shown}; write the values in brackets, as in [0.05, 0.1]")
        yield Axis(key, values, origin, in_file=True)


def refuse_twice(
    axes: Mapping[str, Axis],
    in_cases: Sequence[Override],
    fixed: Sequence[Override],
    given: Mapping[str, Any],
    origins: Mapping[str, str],
) -> None:
    """A key that varies and is fixed. What is typed may replace what a file fixes, and a file's kind its own keys."""
    file = [Override(key, value, origins[key]) for key, value in flat(given)]
    for axis in axes.values():
        beside = file if axis.in_file and not axis.key.endswith(".name") else []
        for each in (*fixed, *in_cases, *beside):
            if related(each.key, axis.key):
                raise UserError(f"{axis.origin}: {axis.key} varies, and {each.origin} sets it; leave one out")
    for each in fixed:
        if clash := next((case for case in in_cases if related(each.key, case.key)), None):
            raise UserError(f"{each.origin}: {each.key} varies with the cases ({clash.origin}); leave it out")


def related(key: str, other: str) -> bool:
    """Whether they are one key, or one is in the other's section."""
    return f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.")
