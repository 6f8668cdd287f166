"""Faults as a slip of the pen makes them: a piece of a function's source replaced, until the test is over."""

import inspect
from textwrap import dedent


def slip(monkeypatch, function, old, new):
    """All who hold this function or method get the one with `new` where `old` stands, which is in one place."""
    function = inspect.unwrap(function)  # from its cache
    source = dedent(inspect.getsource(function))
    assert source.count(old) == 1, f"{old!r} stands {source.count(old)} times in {function.__name__}"
    made = dict(function.__globals__)
    exec(source.replace(old, new), made)
    monkeypatch.setattr(function, "__code__", inspect.unwrap(made[function.__name__]).__code__)


def worst(errors):
    """The largest of what `errors()` finds; what cannot even be computed is wrong without end."""
    try:
        return max(errors(), default=0.0)
    except (IndexError, RuntimeError, TypeError, ValueError, UserWarning):  # shapes that do not fit
        return float("inf")
