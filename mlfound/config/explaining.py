"""One line from a pydantic error: where the key was set, the key, its value, and what to write instead."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from mlfound.config.documents import shown
from mlfound.config.keys import fields, section_of


def first_mistake(
    error: ValidationError,
    known: Mapping[str, FieldInfo],
    given: Mapping[str, Any],
    origins: Mapping[str, str],
) -> str:
    """The message for the first mistake in the order of writing.

    `known` (the model's fields) and `origins` (where each key was set, in that order) have dotted keys; `given` are
    the values, nested.
    """
    order = {key: position for position, key in enumerate(origins)}
    mistakes = error.errors(include_url=False)
    if mistakes[0]["type"] == "clash":  # alone: only keys that are valid one by one are checked together
        key = max(mistakes[0]["ctx"]["keys"], key=lambda key: order.get(key, -1))
        return located(origins.get(key), f"{key}: {mistakes[0]['msg']}")
    written = [
        (_within(key := ".".join(map(str, each["loc"])), origins), key, each["type"]) for each in mistakes
    ]
    place, key, kind = min(written, key=lambda mistake: order[mistake[0]])
    if kind == "extra_forbidden":
        return located(origins[place], unknown_key(key, known))
    key = _within(key, known)
    return located(origins[place], f"{key}: {_not_valid(known[key], _value(key, given))}")


def located(origin: str | None, text: str) -> str:
    """`text` after its place, if it has one."""
    return f"{origin}: {text}" if origin else text


def unknown_key(key: str, known: Iterable[str]) -> str:
    """The message for an unknown key, with the nearest known one or else those of its section."""
    message = f"unknown key {shown(key)}"
    section, _, word = key.rpartition(".")
    beside = [name for name in known if name.rpartition(".")[0] == section]
    for names in (beside, known):
        words = {name.rpartition(".")[2]: name for name in names}
        if near := get_close_matches(word, words, n=1, cutoff=0.75):
            return f"{message}; did you mean {words[near[0]]!r}?"
    return f"{message}; write one of {', '.join(beside or [name for name in known if '.' not in name])}"


def wanted(field: FieldInfo) -> str:
    """What to write for this field: completes the sentence "write ..."."""
    if section := section_of(field):
        return f"keys below it ({', '.join(fields(section))}), or leave it out"
    if words := _choices(field):
        return f"{'a list of' if _is_list(field) else 'one of'} {', '.join(words)}"
    return field.description or "another value"


def _not_valid(field: FieldInfo, value: object) -> str:
    """What is wrong with a value, and what to write instead."""
    if isinstance(value, list | tuple) and _choices(field):
        value = next((item for item in value if item not in _choices(field)), value)
    message = f"{shown(value)} is not valid"
    if isinstance(value, str) and (near := get_close_matches(value.lower(), _choices(field), n=1)):
        return f"{message}; did you mean {near[0]!r}? ({wanted(field)})"
    if _is_list(field) and type(value) in (int, float):
        return f"{message}; write [{shown(value)}] ({wanted(field)})"
    return f"{message}; write {wanted(field)}"


def _is_list(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is tuple


def _choices(field: FieldInfo) -> tuple[str, ...]:
    """The words allowed for a field or for the items of a list; empty where other values are allowed too."""
    kind = get_args(field.annotation)[0] if _is_list(field) else field.annotation
    return get_args(kind) if get_origin(kind) is Literal else ()


def _within(key: str, known: Mapping[str, object]) -> str:
    """The known key that is `key` or contains it: pydantic also names list items and members of a union."""
    while key and key not in known:
        key = key.rpartition(".")[0]
    return key


def _value(key: str, given: Any) -> object:
    for name in key.split("."):
        given = given[name]
    return given
