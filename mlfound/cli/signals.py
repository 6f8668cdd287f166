"""Ctrl-C and SIGTERM: when they take effect."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Terminated(KeyboardInterrupt):
    """SIGTERM, taken as the Ctrl-C of another process: the run folder says `interrupted`."""


def terminate(number: int, frame: object) -> None:
    """The handler of SIGTERM."""
    raise Terminated


@contextmanager
def deferred() -> Iterator[Callable[[], bool]]:
    """Both wait for the end of the block, which gives work the time to come to a good place. A second one does not.

    What it gives says whether one has come.
    """
    received: list[int] = []

    def take_note(number: int, frame: object) -> None:
        received.append(number)
        if len(received) > 1:
            take_effect(number)

    before = {number: signal.signal(number, take_note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:
        take_effect(received[0])


def take_effect(number: int) -> None:
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt
