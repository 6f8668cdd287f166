"""Command lines as processes of their own, forked from one that has imported everything: seconds less for each.

As a program (`python -m tests.faults.commands`) this is that process: a JSON line in for each command, two out.
A command may not hang or fill the memory: a signal ends one that takes PROCESSOR_S of processor time, WALL_S on the
clock (a busy machine proves nothing), and one that takes LARGEST bytes more than it began with finds no memory.
"""

import atexit
import base64
import json
import os
import resource
import select
import signal
import subprocess
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import mlfound
from mlfound.errors import UserError
from tests.faults import shim

PROCESSOR_S, WALL_S, LARGEST = 5, 60, 1 << 30
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

PATIENCE_S = 60
CORES = 3  # so many workers at most, on every machine


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, minus the signal that killed it, and what it wrote."""

    code: int
    out: str
    err: str
    calls: int  # file calls on the root and below
    writes: int  # those that are a write
    missed: int  # calls that the disk lacks and that were tried, as bits


class Commands:
    """Runs `mlfound ARGUMENTS` below `root`; use it in a `with`."""

    def __init__(self, folder: Path, library: Path, root: Path) -> None:
        self.folder, self.root = folder, root
        self.child: int | None = None
        self.pid = 0  # of the command that was started last, and of its process group
        root.mkdir(parents=True, exist_ok=True)
        self.server = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.commands"],
            env=shim.environment(library, root),
            cwd=Path(__file__).parent.parent.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.communicate()

    def start(
        self,
        *arguments: str,
        nth: int = 0,
        kind: int = shim.NONE,
        lacking: int = 0,
        umask: int = 0o022,
        limited: bool = False,
        pictures: bool = False,
    ) -> None:
        """Start a command whose n-th file call has a fault, or on a disk that lacks some calls, or with limits."""
        order = {"arguments": arguments, "nth": nth, "kind": kind, "lacking": lacking, "umask": umask}
        order |= {"limited": limited, "pictures": pictures, "folder": str(self.folder)}
        self.server.stdin.write(json.dumps(order) + "\n")
        self.server.stdin.flush()
        self.pid = json.loads(self.server.stdout.readline())
        with suppress(ProcessLookupError):  # ended already
            self.child = os.pidfd_open(self.pid)

    def send(self, number: int) -> None:
        """Send a signal to the command that was started, and never to a later process with its number."""
        if self.child is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.child, number)

    def end(self) -> Ended:
        """Wait for the command that was started; one that does not end is killed."""
        if self.child is not None and not select.select([self.child], [], [], PATIENCE_S)[0]:
            self.send(signal.SIGKILL)
        code = json.loads(self.server.stdout.readline())
        if self.child is not None:
            os.close(self.child)
            self.child = None
        out, err, calls = ((self.folder / name).read_text() for name in ("out", "err", "calls"))
        return Ended(code, out, err, *map(int, calls.split()))

    def alive(self) -> bool:
        """Whether the command that was started, or a process of its group, still runs; a zombie does not."""
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                state, _, group = stat.read_text().rpartition(")")[2].split()[:3]
                if int(group) == self.pid and state not in "ZX":
                    return True
        return False

    def run(self, *arguments: str, **fault: int) -> Ended:
        """Start a command and wait for it."""
        self.start(*arguments, **fault)
        return self.end()


def serve() -> None:
    """Fork a child for every line that comes in. It calls no git and draws no pictures unasked: they take time."""
    import scipy.stats  # noqa: F401 - imported late by the command, as the others here

    import mlfound.experiments.compare
    import mlfound.experiments.train
    import mlfound.report.page
    import mlfound.report.pictures
    import mlfound.runs.environment
    import mlfound.runs.recorder
    import mlfound.runs.resume
    import mlfound.runs.tensorboard
    from mlfound.data import registry
    from tests.support.made import made_up

    with suppress(ImportError):
        import tensorboardX.event_file_writer
        import tensorboardX.summary  # noqa: F401

    registry.DATASETS["made"] = made_up().dataset
    mlfound.runs.environment.git_state = lambda folder: None  # four processes, and no part of what is tried
    mlfound.hardware.cores = lambda: CORES

    answers = os.fdopen(os.dup(1), "w", buffering=1)
    while line := sys.stdin.readline():
        child = os.fork()
        if child == 0:
            run(**json.loads(line))
        answers.write(f"{child}\n")
        _, status = os.waitpid(child, 0)
        answers.write(f"{os.waitstatus_to_exitcode(status)}\n")


def run(
    folder: str,
    arguments: list[str],
    nth: int,
    kind: int,
    lacking: int,
    umask: int,
    limited: bool,
    pictures: bool,
) -> None:
    """This process is the command from now on: as a shell would start it, with its output in files."""
    import mlfound.report.pictures
    from mlfound import __main__ as program

    os.setsid()  # as a batch system does: a group of its own, which no shell cleans up
    program.leave = lambda code: None  # this process has more to say
    if not pictures:
        mlfound.report.pictures.png = lambda picture: base64.b64decode(PIXEL)

    for descriptor, path in ((0, os.devnull), (1, f"{folder}/out"), (2, f"{folder}/err")):
        opened = os.open(path, os.O_RDONLY if descriptor == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, descriptor)
        os.close(opened)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["mlfound", *arguments]
    calls, library = Path(folder, "calls"), shim.loaded()
    calls.write_text("0 0 0")
    os.umask(umask)
    library.faults_arm(nth, kind)
    library.faults_lack(lacking)
    code = 1
    if limited:
        limit()
    try:
        load_model(arguments[1]) if arguments[0] == "load_model" else program.main()
    except SystemExit as done:
        code = int(done.code or 0)
    except BaseException:
        traceback.print_exc()
    atexit._run_exitfuncs()  # one of which waits for workers
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.stdout.flush()
    calls.write_text(f"{library.faults_count()} {library.faults_writes()} {library.faults_missed()}")
    os._exit(code)  # to take everything down that was imported would take longer than the command did


def limit() -> None:
    """See above; for Linux."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + LARGEST,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_S, PROCESSOR_S))
    signal.alarm(WALL_S)


def load_model(run: str) -> None:
    """What is no command: the library's way to a trained model, with a command's exit code."""
    try:
        mlfound.load_model(run)
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    sys.exit(0)


if __name__ == "__main__":
    serve()
