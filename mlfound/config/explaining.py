"""From what pydantic found wrong to one line: where it was set, the key, the value, what to write instead."""

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
    """The line for the mistake that was written first.

    By dotted key: `known` are the model's fields, `origins` the places in the order of writing. `given` are
    the values, nested.
    """
    order = {key: position for position, key in enumerate(origins)}
    mistakes = error.errors(include_url=False)
    if mistakes[0]["type"] == "clash":  # it comes alone: only keys that are right are held against each other
        key = max(mistakes[0]["ctx"]["keys"], key=lambda key: order.get(key, -1))
        return located(origins.get(key), f"{key}: {mistakes[0]['msg']}")
    written = [
        (_within(key := ".".join(map(str, each["loc"])), origins), key, each["type"]) for each in mistakes
    ]
    place, key, kind = min(written, key=lambda mistake: order[mistake[0]])
    if kind == "extra_forbidden":
        return located(origins[place], unknown_key(key, known))
    key = _within(key, known)
    return located(origins[place], f"{key}: {_wont_do(known[key], _value(key, given))}")


def located(origin: str | None, text: str) -> str:
    """`text` behind the place that it is about, where there is one."""
    return f"{origin}: {text}" if origin else text


def unknown_key(key: str, known: Iterable[str]) -> str:
    """That there is no such key; the nearest one, or those that may stand there."""
    message = f"unknown key {shown(key)}"
    section, _, word = key.rpartition(".")
    beside = [name for name in known if name.rpartition(".")[0] == section]
    for names in (beside, known):
        words = {name.rpartition(".")[2]: name for name in names}
        if near := get_close_matches(word, words, n=1, cutoff=0.75):
            return f"{message}; did you mean {words[near[0]]!r}?"
    return f"{message}; write one of {', '.join(beside or [name for name in known if '.' not in name])}"


def wanted(field: FieldInfo) -> str:
    """What to write for this field: the end of the sentence "write ..."."""
    if section := section_of(field):
        return f"keys below it ({', '.join(fields(section))}), or leave it out"
    if words := _choices(field):
        return f"{'a list of' if _is_list(field) else 'one of'} {', '.join(words)}"
    return field.description or "another value"


def _wont_do(field: FieldInfo, value: object) -> str:
    """What is wrong with a value, and what to write instead."""
    if isinstance(value, list | tuple) and _choices(field):
        value = next((item for item in value if item not in _choices(field)), value)
    message = f"{shown(value)} won't do"
    if isinstance(value, str) and (near := get_close_matches(value.lower(), _choices(field), n=1)):
        return f"{message}; did you mean {near[0]!r}? ({wanted(field)})"
    if _is_list(field) and type(value) in (int, float):
        return f"{message}; write [{shown(value)}] ({wanted(field)})"
    return f"{message}; write {wanted(field)}"


def _is_list(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is tuple


def _choices(field: FieldInfo) -> tuple[str, ...]:
    """The words that a field may be, or that its items may be; none where it is no matter of words."""
    kind = get_args(field.annotation)[0] if _is_list(field) else field.annotation
    return get_args(kind) if get_origin(kind) is Literal else ()


def _within(key: str, known: Mapping[str, object]) -> str:
    """The known key that `key` is or lies in: pydantic also names list items and members of a union."""
    while key and key not in known:
        key = key.rpartition(".")[0]
    return key


def _value(key: str, given: Any) -> object:
    for name in key.split("."):
        given = given[name]
    return given
