"""Merges defaults, file and command line into one config that knows where each key was set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from mlfound.config.documents import DocumentError, read, read_file, shortened, write
from mlfound.config.explaining import first_mistake, located, unknown_key
from mlfound.config.keys import Config, fields, section_of
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
    """A config, and where its keys were set: `configs/mlp.yaml:7` or `--seed 3`; nothing for a default."""

    config: Any  # the command's model out of CONFIGS
    origins: Mapping[str, str]

    def locate(self, error: UserError) -> str:
        """The message for an error of an experiment: where its key was set, the key, what is wrong."""
        return located(self.origins.get(error.key), f"{error.key}: {error}") if error.key else str(error)


def load(command: str, path: str | Path | None = None, overrides: Sequence[Override] = ()) -> Loaded:
    """The config of `command`: the defaults, then the file, then the overrides in their order.

    The message of a UserError starts with file and line, or with the flag. It reports the first mistake of a file.
    """
    model = CONFIGS[command]
    given: dict[str, Any] = {}
    origins: dict[str, str] = {}
    if path is not None:
        given, lines = read_file(path)
        origins = {key: f"{printable(str(path))}:{line}" for key, line in lines.items()}
    for override in overrides:
        _apply(override, model, given, origins)
    try:
        return Loaded(model.model_validate(given), origins)
    except ValidationError as error:
        raise UserError(first_mistake(error, fields(model), given, origins)) from None


def dump(config: Config) -> str:
    """The config as YAML with every key, in the model's order; `load` reads it back as an equal config."""
    return write(config.model_dump(by_alias=True))


def _apply(override: Override, model: type[Config], given: dict[str, Any], origins: dict[str, str]) -> None:
    """Set the override's key in `given` and `origins`."""
    key, origin, known = override.key, _typed(override.origin), fields(model)
    if key not in known:
        raise UserError(f"{origin}: {unknown_key(key, known)}")
    if section := section_of(known[key]):
        keys = ", ".join(f"{key}.{name}" for name in fields(section))
        raise UserError(f"{origin}: {key} is a section; set a key in it: {keys}")
    *sections, name = key.split(".")
    for section_name in sections:
        given = given.setdefault(section_name, {})
        if not isinstance(given, dict):
            return  # the file has a value where a section belongs, and will be refused
    given[name] = override.value
    for old in [old for old in origins if f"{old}.".startswith(f"{key}.")]:  # its list items, too
        del origins[old]
    origins[key] = origin


def _typed(origin: str) -> str:
    return shortened(printable(origin), 100)
