"""The console script; `python -m mlfound` is the same."""

import os
import signal


def main() -> None:
    """Outside a command's work (see `cli.signals`) Ctrl-C and SIGTERM end the process at once and quietly."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:  # as for a job in a script's background
            signal.signal(number, lambda number, frame: os._exit(128 + number))

    from mlfound.cli import main as commands

    commands()


if __name__ == "__main__":
    main()
