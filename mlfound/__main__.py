"""The console script; `python -m mlfound` is the same."""

import atexit
import os
import signal
import sys
from contextlib import suppress


def main() -> None:
    """Outside a command's work (see `cli.signals`) Ctrl-C and SIGTERM end the process at once and quietly."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:  # as for a job in a script's background
            signal.signal(number, lambda number, frame: os._exit(128 + number))

    # large tensors in large pages, where the system has them: a compiled step on rows at random takes 0.9 of the time
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    # threads that wait for each other soon leave their core to others: beside another program a step of several
    # threads takes half of the time or less, on an idle machine 1.00 to 1.07 of it
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    from mlfound.cli import main as commands

    try:
        commands()
    except SystemExit as ended:
        if isinstance(ended.code, int):
            leave(ended.code)
        raise


def leave(code: int) -> None:
    """End the process now: to take everything down that was imported takes half a second, or more.

    Where what was printed cannot be written, Python says so as usual.
    """
    atexit._run_exitfuncs()
    with suppress(OSError):
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
