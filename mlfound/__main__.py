"""The console script; `python -m mlfound` is the same."""

import atexit
import os
import signal
import sys


def main() -> None:
    """Outside a command's work (see `cli.signals`) Ctrl-C and SIGTERM end the process at once and quietly."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:  # as for a job in a script's background
            signal.signal(number, lambda number, frame: os._exit(128 + number))

    from mlfound.cli import main as commands

    try:
        commands()
    except SystemExit as ended:
        if ended.code in (128 + signal.SIGINT, 128 + signal.SIGTERM):
            leave(ended.code)
        raise


def leave(code: int) -> None:
    """End the process now: to take everything down that was imported may take seconds."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
