"""A signature that typer accepts for a user's function, and the call with what typer has parsed."""

import ast
import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from inspect import Parameter
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import typer

SCALARS = (bool, int, float, str, Path, datetime, UUID, Enum)
SUPPORTED = (
    "supported are int, float, bool, str, Path, datetime, UUID, Enum, Literal, and lists and tuples of them"
)
AS_PYTHON = "A Python literal such as 0.5 or [1, 2]; anything else is text."


@dataclass(frozen=True)
class Value:
    """The parsed value of a parameter without a type; an option that is left out is None."""

    value: Any


def signature_for_typer(function: Callable[..., Any]) -> inspect.Signature:
    """All parameters passed by name; a TypeError names those that typer does not support."""
    hints = get_type_hints(function, include_extras=True)
    own = inspect.signature(function).parameters.values()
    translations = [translated(parameter, hints) for parameter in own]
    if unfit := [str(each)[:60] for each, new in zip(own, translations, strict=True) if new is None]:
        raise TypeError(f"the command line cannot give {', '.join(unfit)}; {SUPPORTED}")
    return inspect.Signature([new for new in translations if new is not None])


def call_with(function: Callable[..., Any], values: Mapping[str, Any]) -> Any:
    """`function` called with what typer has parsed; what is None was left out, and has a default."""
    given = {name: value for name, value in values.items() if value is not None}
    parsed = {name: value.value if isinstance(value, Value) else value for name, value in given.items()}
    bound = inspect.BoundArguments(inspect.signature(function), OrderedDict(parsed))
    return function(*bound.args, **bound.kwargs)


def translated(parameter: Parameter, hints: Mapping[str, Any]) -> Parameter | None:
    """The parameter for typer, passed by name; None if it is not supported."""
    if parameter.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
        return None
    own = parameter.replace(kind=Parameter.KEYWORD_ONLY)
    default = parameter.default
    kind = hints.get(parameter.name, Any)
    if kind is not Any:
        bare = get_args(kind)[0] if get_origin(kind) is Annotated else kind
        return own.replace(annotation=kind) if fits(bare) else None
    if isinstance(default, SCALARS):
        return own.replace(annotation=type(default))  # without an annotation the default gives the type
    if default is Parameter.empty:
        return own.replace(annotation=Annotated[Any, typer.Argument(parser=literal, help=AS_PYTHON)])
    if isinstance(default, NoneType | list | tuple | dict):
        option = typer.Option(parser=literal, metavar="VALUE", show_default=repr(default), help=AS_PYTHON)
        return own.replace(annotation=Annotated[Any, option], default=None)
    return None


def fits(kind: Any) -> bool:
    """Whether typer can parse text to a value of this annotation."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        others = [other for other in arguments if other is not NoneType]
        return len(others) == 1 and fits(others[0])
    if origin in (list, tuple):
        return all(isinstance(item, type) and issubclass(item, SCALARS) for item in arguments)
    return origin is Literal or (isinstance(kind, type) and issubclass(kind, SCALARS))


def literal(text: str) -> Value:
    """`text` as a Python literal, else the text itself."""
    try:
        return Value(ast.literal_eval(text))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return Value(text)
