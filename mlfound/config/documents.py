"""A strict subset of YAML: reads plain values with the line of every key, and writes them.

Keys are dotted (`optimizer.lr`, and `model.hidden.0` for an item of a list). Nothing is ever constructed:
one walk over the events of PyYAML's parser, and everything outside the subset is refused.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from mlfound.errors import UserError, printable
from mlfound.files import read_plain

Value: TypeAlias = "bool | int | float | str | list[Value] | dict[str, Value] | None"

MAX_CONFIG_BYTES = 64 * 1024
MAX_DEPTH = 20  # sections within sections
MAX_ITEMS = 2_000  # of a list, or keys of a section
KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")

# What an unquoted word means; every other word is a string (`yes`, `0o17`, `12:30`, `1_000`, `010`, `.inf`).
# The digits are counted because Python turns only short ones into an int: a longer number is a string, too.
WORDS: dict[str, tuple[re.Pattern[str], Callable[[str], Value]]] = {
    "null": (re.compile(r"(null|~|)\Z"), lambda word: None),
    "bool": (re.compile(r"(true|false)\Z"), lambda word: word == "true"),
    "int": (re.compile(r"[-+]?(0|[1-9][0-9]{0,99})\Z"), int),
    "float": (re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?\Z"), float),
}


class DocumentError(Exception):
    """What is wrong with a YAML text; `line` says where."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


def read_file(path: str | Path, follow_links: bool = True) -> tuple[dict[str, Value], dict[str, int]]:
    """The mapping in a YAML file, and the line of each key; anything else is a UserError with its line."""
    name = printable(str(path)) or "''"
    content = read_plain(path, MAX_CONFIG_BYTES, follow_links=follow_links)
    try:
        value, lines = read(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{name}:{line}: not UTF-8; save it as UTF-8 text") from None
    except DocumentError as error:
        raise UserError(f"{name}:{error.line}: {error}") from None
    if value is None:
        raise UserError(f"{name}: empty; write keys and values, as in epochs: 10")
    if not isinstance(value, dict):
        raise UserError(f"{name}: {shown(value)} is not valid; write keys and values, as in epochs: 10")
    return value, lines


def read_back(path: Path) -> dict[str, Value]:
    """The mapping in a YAML file that `write` wrote, by PyYAML's parser in C where it has one: eight times as fast.

    It takes some texts that `read` refuses, such as a tab between words; what it refuses, `read_file` explains.
    """
    content = read_plain(path, MAX_CONFIG_BYTES)
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(content.decode("utf-8"))
        value, _ = _document(iter(loader.get_event, None))
    except (DocumentError, yaml.YAMLError, ValueError, OverflowError):
        value = None
    return value if isinstance(value, dict) else read_file(path, follow_links=False)[0]


def read(text: str) -> tuple[Value, dict[str, int]]:
    """The one value in a YAML text (None if empty), and the line of each key in the order of the text."""
    try:
        loader = yaml.SafeLoader(text)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise DocumentError(
            line, f"not YAML: the character {chr(error.character)!r} is not allowed here"
        ) from None
    try:
        return _document(iter(loader.get_event, None))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line if error.problem_mark else loader.line
        raise DocumentError(line + 1, shortened(f"not YAML: {error.problem}", 100)) from None
    except (ValueError, OverflowError):  # PyYAML's own, from "\UFFFFFFFF"
        raise DocumentError(loader.line + 1, "not YAML: an escape that is not a character") from None


def _document(events: Iterator[Any]) -> tuple[Value, dict[str, int]]:
    lines: dict[str, int] = {}
    next(events)  # the start of the stream
    if isinstance(next(events), yaml.StreamEndEvent):
        return None, lines
    value = _value(next(events), events, "", lines)
    next(events)  # the end of the document
    if not isinstance(event := next(events), yaml.StreamEndEvent):
        raise DocumentError(_line(event), "a second document begins here; write one")
    return value, lines


def _value(event: Any, events: Iterator[Any], key: str, lines: dict[str, int], depth: int = 0) -> Value:
    """The value that begins with `event`, at `key`; the lines of the keys in it are added to `lines`."""
    _refuse_references(event)
    if isinstance(event, yaml.ScalarEvent):
        return _scalar(event)
    if depth == MAX_DEPTH:
        raise DocumentError(_line(event), f"nested deeper than {MAX_DEPTH} levels")
    above = f"{key}." if key else ""
    if isinstance(event, yaml.SequenceStartEvent):
        items: list[Value] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            if len(items) == MAX_ITEMS:
                raise DocumentError(_line(event), f"more than {MAX_ITEMS} items; this is not a config")
            item = f"{above}{len(items)}"
            lines[item] = _line(event)
            items.append(_value(event, events, item, lines, depth + 1))
        return items
    mapping: dict[str, Value] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        if len(mapping) == MAX_ITEMS:
            raise DocumentError(_line(event), f"more than {MAX_ITEMS} keys; this is not a config")
        name = _name(event)
        inner = above + name
        if name in mapping:
            raise DocumentError(_line(event), f"{inner!r} is already on line {lines[inner]}; write it once")
        lines[inner] = _line(event)
        mapping[name] = _value(next(events), events, inner, lines, depth + 1)
    return mapping


def _name(event: Any) -> str:
    _refuse_references(event)
    if not isinstance(event, yaml.ScalarEvent):
        raise DocumentError(_line(event), "a list or mapping cannot be a key; write a word")
    if not KEY.fullmatch(event.value):
        key, colon, value = event.value.partition(":")
        if KEY.fullmatch(key) and colon:
            message = f"{shown(event.value)} has no space behind its colon; write {shown(f'{key}: {value}')}"
            raise DocumentError(_line(event), message)
        raise DocumentError(
            _line(event), f"{shown(event.value)} is not a key; write a word, and keys below it indented"
        )
    return event.value


def _scalar(event: yaml.ScalarEvent) -> Value:
    if not event.style:  # neither quoted nor a block: None, or "" of the parser in C
        for pattern, convert in WORDS.values():
            if pattern.match(event.value):
                return convert(event.value)
    return event.value


def _refuse_references(event: Any) -> None:
    if isinstance(event, yaml.AliasEvent):
        raise DocumentError(_line(event), f"{shown(f'*{event.anchor}')} is an alias; write the value itself")
    if event.anchor is not None:
        raise DocumentError(_line(event), f"{shown(f'&{event.anchor}')} is an anchor; leave it out")
    if event.tag is not None:
        tag = event.tag.replace("tag:yaml.org,2002:", "!!")
        raise DocumentError(_line(event), f"{shown(tag)} is a tag; write a plain value")


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


class _Dumper(yaml.SafeDumper):
    """Quotes exactly the strings that `read` would take for something else."""

    yaml_implicit_resolvers = {  # noqa: RUF012  (PyYAML reads it from the class)
        None: [(f"tag:yaml.org,2002:{name}", pattern) for name, (pattern, _) in WORDS.items()]
    }

    def ignore_aliases(self, data: object) -> bool:
        """Write equal lists out each time."""
        return True

    def flow_list(self, data: Sequence[object]) -> yaml.Node:
        """[100, 50], not one line per item."""
        return self.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True)


_Dumper.add_representer(list, _Dumper.flow_list)
_Dumper.add_representer(tuple, _Dumper.flow_list)


def write(value: Mapping[str, Any]) -> str:
    """YAML that `read` reads back as the same value: sections as blocks, lists in brackets, all ASCII."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=10_000)


def flat(config: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of a config; lists are values."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def shown(value: object, longest: int = 60) -> str:
    """A value for a message: short, on one line, without control characters, strings in quotes."""
    if isinstance(value, str):
        return repr(value if len(value) <= longest else f"{value[:longest]}...")
    return shortened(json.dumps(value, default=repr), longest)


def shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}..."
