"""Runs cases in a child process that may not hang, fill the memory, or run what it reads.

The limits of a case: 2 s of processor time (the wall clock of a busy machine proves nothing), 20 s of wall clock,
and 1 GiB of memory, the interpreter and torch included. An audit hook sees whatever starts a program or evaluates
code, also where no canary would.
"""

import codecs
import faulthandler
import multiprocessing
import resource
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

PROCESSOR_S, WALL_S, LARGEST = 2.0, 20.0, 1 << 30
EVENTS = {
    "compile", "ctypes.dlopen", "exec", "marshal.loads", "os.exec", "os.fork", "os.posix_spawn", "os.system",
    "pickle.find_class", "socket.connect", "subprocess.Popen",
}  # fmt: skip

CODECS = ("ascii", "cp437", "latin-1", "raw_unicode_escape", "unicode_escape", "utf-16", "utf-32")


@dataclass
class Watched:
    """How many cases gave which word, a line for each that failed, and the most memory the child held."""

    words: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    peak_bytes: int = 0

    def __str__(self) -> str:
        words = ", ".join(f"{count:,} {word}" for word, count in self.words.most_common())
        return f"{words}; at most {self.peak_bytes / 2**20:.0f} MiB"


def nothing() -> None:
    pass


def watch(
    case: Callable[..., str], arguments: Sequence[tuple[Any, ...]], ready: Callable[[], object] = nothing
) -> Watched:
    """Call `case` with each of the arguments; it gives a word for what it saw, or raises what went wrong.

    A child that dies or hangs costs the case that it was at: another goes on behind it. `ready` is called
    first and unwatched, for what is imported late, since an import is code that runs.
    """
    watched = Watched()
    while (done := watched.words.total() + len(watched.failures)) < len(arguments):
        here, there = multiprocessing.Pipe(duplex=False)
        child = multiprocessing.get_context("spawn").Process(
            target=_work, args=(there, case, arguments[done:], ready), daemon=True
        )
        child.start()
        there.close()
        try:
            for each in arguments[done:]:
                word, failure, peak = here.recv()
                watched.peak_bytes = max(watched.peak_bytes, peak)
                if failure:
                    watched.failures.append(f"{each}: {failure}")
                else:
                    watched.words[word] += 1
        except EOFError:
            child.join()
            each = arguments[watched.words.total() + len(watched.failures)]
            watched.failures.append(
                f"{each}: the process ended with {child.exitcode}; over {WALL_S:g} s, or it crashed"
            )
        child.join()
    return watched


def _work(
    connection: Connection,
    case: Callable[..., str],
    arguments: Sequence[tuple[Any, ...]],
    ready: Callable[[], object],
) -> None:
    events: list[str] = []
    armed = False

    def hook(event: str, details: tuple[Any, ...]) -> None:
        if armed and event in EVENTS:
            events.append(f"{event} {details!r:.100}")

    _limit_memory()
    for codec in CODECS:  # Python imports a codec when it is first used
        codecs.lookup(codec)
    ready()
    sys.addaudithook(hook)
    for each in arguments:
        faulthandler.dump_traceback_later(WALL_S, exit=True)
        started, word, failure = time.process_time(), "", ""
        armed = True
        try:
            word = case(*each)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            failure = f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"
        armed = False
        faulthandler.cancel_dump_traceback_later()
        if (seconds := time.process_time() - started) > PROCESSOR_S:
            failure = failure or f"took {seconds:.1f} s of processor time"
        if events:
            failure = f"ran something: {events[0]}"
            events.clear()
        connection.send((word, failure, 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))


def _limit_memory() -> None:
    """Let the resident memory grow to LARGEST: by so much the address space may grow, where Linux counts it."""
    if sys.platform != "linux":
        return
    space, resident = (
        int(pages) * resource.getpagesize() for pages in Path("/proc/self/statm").read_text().split()[:2]
    )
    resource.setrlimit(resource.RLIMIT_AS, (space + LARGEST - resident,) * 2)
