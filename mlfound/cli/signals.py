"""Ctrl-C and SIGTERM while a command works: an exception, at once or when the work can be saved.

Before and after, they end the process (`__main__`). One that was ignored when the process began stays ignored.
"""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

GRACE_SECONDS = 1.0  # to reach a point where work can be saved: the process must end within 2 seconds
RETRY_SECONDS = 0.01


class Interrupted(KeyboardInterrupt):
    """Ctrl-C. After a bare KeyboardInterrupt in an `exec`, `python -m` would end by the signal, without exit code."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, handled like Ctrl-C: the run's status is `interrupted`."""


@contextmanager
def raised() -> Iterator[None]:
    """In the block the signals raise Interrupted and Terminated."""
    received: list[int] = []

    def take_note(number: int, frame: FrameType | None) -> None:
        received.append(number)
        take_effect(number)

    hook, sys.unraisablehook = sys.unraisablehook, raise_again
    try:
        with handled(take_note):
            yield
    except Exception:
        if received:  # while it was imported, a library turned our exception into one of its own
            take_effect(received[0])
        raise
    finally:
        sys.unraisablehook = hook


@contextmanager
def deferred() -> Iterator[Callable[[], bool]]:
    """Signals wait for the end of the block, but at most GRACE_SECONDS. A second one does not wait.

    Yields a function that says whether one was received.
    """
    received: list[int] = []

    def take_note(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            take_effect(number)
        take_effect_after(GRACE_SECONDS, number)

    with handled(take_note):
        yield lambda: bool(received)
    if received:
        take_effect(received[0])


@contextmanager
def handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """In the block both signals go to `handler`; who sets another one meanwhile keeps it."""
    numbers = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) != signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        take_effect_after(0)
        for number, earlier in before.items():
            if signal.getsignal(number) == handler:
                signal.signal(number, earlier)


def take_effect(number: int, frame: FrameType | None = None) -> None:
    """Raise the exception of this signal."""
    take_effect_after(0)
    raise Terminated if number == signal.SIGTERM else Interrupted


def take_effect_after(seconds: float, number: int = 0) -> None:
    """The same after `seconds`; 0 cancels it."""
    if hasattr(signal, "setitimer"):  # not on Windows
        signal.signal(signal.SIGALRM, lambda *_: take_effect(number))
        signal.setitimer(signal.ITIMER_REAL, seconds)


def raise_again(dropped: Any) -> None:
    """Python drops what a handler raises inside a weakref's callback or a `__del__`, and calls this instead."""
    if isinstance(dropped.exc_value, KeyboardInterrupt):
        terminated = isinstance(dropped.exc_value, Terminated)
        take_effect_after(RETRY_SECONDS, signal.SIGTERM if terminated else signal.SIGINT)
    else:
        sys.__unraisablehook__(dropped)
