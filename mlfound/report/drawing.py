"""Pictures drawn by processes of their own, which load matplotlib while the run does its work.

Each gets its share of the pictures at once and gives them back as PNG. What cannot be drawn there is drawn here.
Pickles go only between a run and the processes that it began itself, through their pipes: none is ever a file.
"""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import BytesIO
from threading import Lock
from typing import Any

from mlfound.results import Picture

MAX_PROCESSES = 2
LOCK = Lock()  # matplotlib's settings are those of the whole process

FIRST = Picture(
    "first", "schedule_curves", {"title": "", "progress": (0, 1), "lr": (0, 1), "momentum": (0, 1)}
)


class Drawing:
    """Draws in processes that begin at once, so that they are ready when the first picture is.

    Without any it draws here: for scripts and notebooks, which load matplotlib once for many runs.
    """

    def __init__(self, processes: int = 0) -> None:
        command = [sys.executable, "-P", "-m", "mlfound.report.drawing"]
        pipe, null = subprocess.PIPE, subprocess.DEVNULL
        self.processes = list["subprocess.Popen[bytes]"]()
        with suppress(OSError):  # where no more are allowed, fewer do
            for _ in range(processes):  # in sessions of their own: Ctrl-C is for the run alone
                made = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=null, start_new_session=True)
                self.processes.append(made)

    def start(self, pictures: Sequence[Picture]) -> Callable[[], list[bytes]]:
        """Begin; what this gives waits until all are drawn."""
        if not self.processes:
            return lambda: draw(pictures)
        shares = [pictures[n :: len(self.processes)] for n in range(len(self.processes))]
        busy = [send(process, share) for process, share in zip(self.processes, shares, strict=True)]

        def drawn() -> list[bytes]:
            content = dict[str, bytes]()
            for process, share, is_busy in zip(self.processes, shares, busy, strict=True):
                pngs = (receive(process) if is_busy else None) or draw(share)
                content |= {picture.name: png for picture, png in zip(share, pngs, strict=True)}
            return [content[picture.name] for picture in pictures]

        return drawn

    def close(self) -> None:
        """Each process ends by itself when its input does, and nobody waits for that."""
        for process in self.processes:
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):
                    pipe.close()  # type: ignore[union-attr]


def drawing() -> Drawing:
    """Whatever is ready first."""
    return Drawing(0 if "matplotlib" in sys.modules else min(MAX_PROCESSES, os.cpu_count() or 1))


def send(process: "subprocess.Popen[bytes]", pictures: Sequence[Picture]) -> bool:
    """Whether the process is there to draw them."""
    assert process.stdin is not None
    content = BytesIO()
    Pickler(content, pickle.HIGHEST_PROTOCOL).dump(list(pictures))
    try:
        process.stdin.write(content.getbuffer())
        process.stdin.flush()
    except OSError:
        return False
    return True


def receive(process: "subprocess.Popen[bytes]") -> list[bytes] | None:
    """The PNGs; None of a process that has ended."""
    assert process.stdout is not None
    with suppress(OSError, EOFError, pickle.UnpicklingError):
        return list(pickle.load(process.stdout))
    return None


class Pickler(pickle.Pickler):
    """Tensors as numpy's arrays: a process that draws need not load torch."""

    def reducer_override(self, obj: Any) -> Any:
        return obj.numpy().__reduce_ex__(pickle.HIGHEST_PROTOCOL) if hasattr(obj, "numpy") else NotImplemented


def draw(pictures: Sequence[Picture]) -> list[bytes]:
    """As PNGs, in this process."""
    from mlfound.report.pictures import png

    with LOCK:
        return [png(picture) for picture in pictures]


def main() -> None:
    """Load all that drawing needs, then draw what comes."""
    draw([FIRST])
    pickle.dump(draw(pickle.load(sys.stdin.buffer)), sys.stdout.buffer)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
