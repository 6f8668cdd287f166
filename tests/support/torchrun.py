"""Real torchruns of this command line on this machine, with their ranks to be seen and killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

PATIENCE_S = 120
PAUSE_S = 0.01


class Torchrun:
    """One that has begun `mlfound ARGUMENTS` in so many ranks; use it in a `with`, which leaves no process behind.

    Its `options` may make it one of several machines.
    """

    def __init__(
        self, folder: Path, ranks: int, *arguments: str, options: Sequence[str] = ("--standalone",)
    ) -> None:
        self.ranks, self.folder = ranks, folder
        command = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={ranks}", *options]
        self.process = subprocess.Popen(
            [*command, "-m", "mlfound", *arguments],
            cwd=folder,
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.pids: dict[int, int] = {}  # by rank

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pid in [*self.find_ranks().values(), *self.pids.values()] if self.process.poll() is None else []:
            os.kill(pid, signal.SIGKILL)
        self.process.kill()
        self.process.communicate()

    def find_ranks(self) -> dict[int, int]:
        """The processes of the ranks that there are now."""
        found = {}
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for pid in map(int, children):
            try:
                words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")  # of a zombie none
            except OSError:  # it has ended
                continue
            found |= {int(word[5:]): pid for word in words if word.startswith(b"RANK=")}
        return found

    def wait_for_ranks(self) -> dict[int, int]:
        """All of them."""
        wait_until(lambda: len(self.find_ranks()) == self.ranks)
        self.pids = self.find_ranks()
        return self.pids

    def kill(self, rank: int) -> None:
        """ProcessLookupError where it has ended already."""
        if rank not in self.find_ranks():
            raise ProcessLookupError
        os.kill(self.pids[rank], signal.SIGKILL)

    def end(self) -> tuple[int, str, list[str]]:
        """Exit code, stdout, and of stderr the lines that are ours and not torchrun's."""
        out, err = self.process.communicate(timeout=PATIENCE_S)
        before, _, _ = err.partition("Traceback (most recent call last):\n  File")
        lines = [line for line in before.splitlines() if not line.startswith(("W1", "E1", "W0", "E0"))]
        return self.process.returncode, out, lines


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(PAUSE_S)


def begun(runs: Path) -> Path | None:
    """The run that has begun there, if one has."""
    return next((path.parent for path in runs.glob("[0-9]*/metrics.jsonl")), None)
