"""One line from a pydantic error: where the key was set, the key, its value, and what to write instead."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from mlfound.config.documents import shown
from mlfound.config.keys import Config, OneOf, fields, members, name_of, section_of, value_at


def first_mistake(
    error: ValidationError, model: type[Config], given: Mapping[str, Any], origins: Mapping[str, str]
) -> str:
    """The message for the first mistake in the order of writing.

    `given` are the values, nested; `origins` says where each dotted key was set, in that order.
    """
    order = {key: position for position, key in enumerate(origins)}

    def position(key: str) -> int:
        return order.get(_within(key, origins), -1)

    mistakes = [(each, _key(each, given)) for each in error.errors(include_url=False)]
    mistake, key = min(mistakes, key=lambda mistake: position(mistake[1]))
    if mistake["type"] == "clash":
        above = f"{key}." if key else ""
        key = max((f"{above}{each}" for each in mistake["ctx"]["keys"]), key=position, default=key)
    return located(origins.get(_within(key, origins)), _explained(mistake, key, model, given))


def _explained(mistake: Mapping[str, Any], key: str, model: type[Config], given: Mapping[str, Any]) -> str:
    if mistake["type"] == "clash":
        return f"{key}: {mistake['msg']}"
    if mistake["type"] == "extra_forbidden":
        return unknown_in(model, key, given)
    known = fields(model, given)
    if mistake["type"] == "missing":
        return f"{key} is missing; write {wanted(known[key])}"
    key = _within(key, known)
    return f"{key}: {_not_valid(known[key], value_at(key, given))}"


def _key(mistake: Mapping[str, Any], given: Any) -> str:
    """The dotted key of a mistake; pydantic's path to it also names the members of unions."""
    parts, path = [], mistake["loc"]
    for part in path:
        items = dict(enumerate(given)) if isinstance(given, list | tuple) else given
        if isinstance(items, Mapping) and part in items:
            given = items[part]
        elif not (mistake["type"] == "missing" and part == path[-1]):
            continue
        parts.append(str(part))
    if mistake["type"] == "union_tag_invalid":
        parts.append("name")
    return ".".join(parts)


def located(origin: str | None, text: str) -> str:
    """`text` after its place, if it has one."""
    return f"{origin}: {text}" if origin else text


def unknown_key(key: str, known: Iterable[str]) -> str:
    """The message for an unknown key, with the nearest known one or else those of its section."""
    message = f"unknown key {shown(key)}"
    section, _, word = key.rpartition(".")
    beside = [name for name in known if name.rpartition(".")[0] == section]
    if section in known and not beside:
        return f"{message}; {section} is no section, write {section}: VALUE"
    for names in (beside, known):
        words = {name.rpartition(".")[2]: name for name in names}
        if near := get_close_matches(word, words, n=1, cutoff=0.75):
            return f"{message}; did you mean {words[near[0]]!r}?"
    return f"{message}; write one of {', '.join(beside or [name for name in known if '.' not in name])}"


def unknown_in(model: type[Config], key: str, given: Mapping[str, Any]) -> str:
    """The same for a key beside the `given` values; for one that other kinds of its section have, which these are."""
    known = fields(model, given)
    section, _, word = key.rpartition(".")
    kinds = members(known[section].annotation) if section in known else ()
    having = [name_of(kind) for kind in kinds if word in fields(kind)]
    if not having:
        return unknown_key(key, known)
    chosen = section_of(known[section], value_at(section, given)) or kinds[0]
    verb = "has" if len(having) == 1 else "have"
    return f"{key}: {name_of(chosen)} has no {word}; {listed(having)} {verb} it"


def listed(words: Sequence[str], conjunction: str = "and") -> str:
    """One, two and three."""
    *others, last = words
    return f"{', '.join(others)} {conjunction} {last}" if others else last


def wanted(field: FieldInfo) -> str:
    """What to write for this field: completes the sentence "write ..."."""
    if field.description:
        return field.description
    if section := section_of(field):
        return f"keys below it ({', '.join(fields(section))}), or leave it out"
    return f"{'a list of' if _is_list(field) else 'one of'} {', '.join(choices(field))}"


def _not_valid(field: FieldInfo, value: object) -> str:
    """What is wrong with a value, and what to write instead."""
    words = choices(field)
    if isinstance(value, list | tuple) and words:
        value = next((item for item in value if item not in words), value)
    message = f"{shown(value)} is not valid"
    if isinstance(value, str) and (near := get_close_matches(value.lower(), words, n=1)):
        return f"{message}; did you mean {near[0]!r}? ({wanted(field)})"
    if _is_list(field) and isinstance(value, int | float) and value > 0 and value is not True:
        return f"{message}; write [{shown(value)}] ({wanted(field)})"
    return f"{message}; write {wanted(field)}"


def _is_list(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is tuple


def choices(field: FieldInfo) -> tuple[str, ...]:
    """The words allowed for a field, or for the items of a list; none if any text is."""
    kind = get_args(field.annotation)[0] if _is_list(field) else field.annotation
    marks = [mark for each in (kind, *get_args(kind)) for mark in getattr(each, "__metadata__", ())]
    for mark in (*field.metadata, *marks):
        if isinstance(mark, OneOf):
            return mark.words
    return get_args(kind) if get_origin(kind) is Literal else ()


def _within(key: str, known: Mapping[str, object]) -> str:
    """The known key that is `key` or contains it: pydantic also names list items and members of a union."""
    while key and key not in known:
        key = key.rpartition(".")[0]
    return key
