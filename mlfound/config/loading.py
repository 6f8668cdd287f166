"""Merges defaults, file and command line into one config that knows where each key was set."""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from mlfound.config.documents import DocumentError, read, read_file, shortened, write
from mlfound.config.explaining import first_mistake, listed, located, unknown_in
from mlfound.config.keys import Config, fields, section_of, value_at
from mlfound.config.models import CONFIGS
from mlfound.errors import UserError, printable


class Override(NamedTuple):
    """One key from the command line: `Override("seed", 3, "--seed 3")`; `origin` is what the user typed."""

    key: str
    value: object
    origin: str


def parse_set(text: str, flag: str = "--set ") -> Override:
    """A KEY=VALUE, after a flag or alone."""
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise UserError(f"{_typed(f'{flag}{text}')}: write {flag}KEY=VALUE, as in {flag}epochs=3")
    return parse_flag(key, value, f"{flag}{text}")


def parse_flag(key: str, text: str, origin: str) -> Override:
    """A key whose value is YAML, as in a file: the 4 of `--threads 4` is a number, `auto` a string."""
    try:
        return Override(key, read(text)[0], origin)
    except DocumentError as error:
        raise UserError(f"{_typed(origin)}: {error}") from None


@dataclass(frozen=True)
class Loaded:
    """A config, and where its keys were set: `configs/mlp.yaml:7` or `--seed 3`; nothing for a default.

    `notes` are lines for the user: what the command line made meaningless in the file.
    """

    config: Any  # the command's model out of CONFIGS
    origins: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def locate(self, error: UserError) -> str:
        """The message for an error of an experiment: where its key was set, the key, what is wrong."""
        return located(self.origins.get(error.key), f"{error.key}: {error}") if error.key else str(error)


def load(command: str, path: str | Path | None = None, overrides: Sequence[Override] = ()) -> Loaded:
    """The config of `command`: the defaults, then the file, then the overrides in their order.

    The message of a UserError starts with file and line, or with the flag. It reports the first mistake of a file.
    """
    given, origins = read_given(path) if path is not None else ({}, {})
    notes = override(CONFIGS[command], given, origins, overrides)
    return Loaded(validated(CONFIGS[command], given, origins), origins, notes)


def read_given(path: str | Path) -> tuple[dict[str, Any], dict[str, str]]:
    """What a file gives, nested, and where: `configs/mlp.yaml:7` by dotted key."""
    given, lines = read_file(path)
    return given, {key: f"{printable(str(path))}:{line}" for key, line in lines.items()}


def override(
    model: type[Config], given: dict[str, Any], origins: dict[str, str], overrides: Sequence[Override]
) -> tuple[str, ...]:
    """Set the overrides in what is given, in their order; lines on what they made meaningless in it."""
    single = [each for override in overrides for each in _spread(override, model)]
    known = fields(model, given)
    for override in single:  # the names decide which other keys there are
        if override.key.endswith(".name"):
            _apply(override, model, given, origins)
    notes = _drop(known, model, given, origins)
    for override in single:
        _apply(override, model, given, origins)
    return notes


def validated(model: type[Config], given: Mapping[str, Any], origins: Mapping[str, str]) -> Any:
    """The config of what is given; UserError for the first mistake in the order of writing."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise UserError(first_mistake(error, model, given, origins)) from None


def dump(config: Config) -> str:
    """The config as YAML with every key, in the model's order; `load` reads it back as an equal config."""
    return write(config.model_dump(by_alias=True))


def _spread(override: Override, model: type[Config]) -> Iterator[Override]:
    """One override for each key in it: a section that is given whole sets the keys in it, unless it replaces all."""
    key, value, origin = override
    field = fields(model).get(key)
    section = section_of(field) if field else None
    is_spread = section is not None and not section.replaces
    if field and is_spread and isinstance(value, Mapping) and (value or field.default is not None):
        for name, inner in value.items():
            yield from _spread(Override(f"{key}.{name}", inner, origin), model)
    else:
        yield override


def _drop(
    known: Container[str], model: type[Config], given: dict[str, Any], origins: dict[str, str]
) -> tuple[str, ...]:
    """Remove the file's keys that were `known` until other kinds of sections were chosen; lines that name them."""
    now = fields(model, given)
    dropped: dict[str, list[str]] = {}
    for key in [key for key in origins if key in known and key not in now]:
        section, _, word = key.rpartition(".")
        if keys := value_at(section, given):  # else it went with its section
            dropped.setdefault(section, []).append(word)
            file = origins[key].rpartition(":")[0] or origins[key]
            del keys[word]
    notes = []
    for section, words in dropped.items():
        for word in words:
            _forget(f"{section}.{word}", origins)
        name = f"{section}.name"
        notes.append(
            f"{origins[name]}: {value_at(name, given)} has no {listed(words, 'or')}; "
            f"what {file} says of {'it' if len(words) == 1 else 'them'} is left out"
        )
    return tuple(notes)


def _apply(override: Override, model: type[Config], given: dict[str, Any], origins: dict[str, str]) -> None:
    """Set the override's key in `given` and `origins`."""
    key, origin = override.key, _typed(override.origin)
    parts = key.split(".")
    for above in (".".join(parts[:n]) for n in range(1, len(parts))):
        field = fields(model, given).get(above)
        if field and field.default is None and section_of(field) and _has_no_keys(value_at(above, given)):
            outer, _, word = above.rpartition(".")
            around = value_at(outer, given) if outer else given
            if not isinstance(around, dict):
                return  # the file has a value where a section belongs, and will be refused
            around[word] = {}
    if override.value is True and isinstance(given.get(key), dict):
        return  # a section is wanted, and there is one
    if key not in fields(model, given) or any(part.isdigit() for part in key.split(".")):
        raise UserError(f"{origin}: {unknown_in(model, key, given)}")
    *sections, name = key.split(".")
    for section_name in sections:
        given = given.setdefault(section_name, {})
        if not isinstance(given, dict):
            return  # the file has a value where a section belongs, and will be refused
    given[name] = override.value
    _forget(key, origins)
    origins[key] = origin


def _has_no_keys(section: object) -> bool:
    """Null, or true, until one of its keys is set."""
    return section is None or section is True


def _forget(key: str, origins: dict[str, str]) -> None:
    """Remove where a key was set, and its list items."""
    for old in [old for old in origins if f"{old}.".startswith(f"{key}.")]:
        del origins[old]


def _typed(origin: str) -> str:
    return shortened(printable(origin), 100)
