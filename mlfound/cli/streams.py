"""stdin, stdout and stderr, in whatever state the shell left them."""

import io
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

STDERR = 2


class Stderr(io.FileIO):
    """A stderr that never fails: what cannot be written, to a full disk or a closed pipe, is lost.

    A message must not end a training; `log.txt` has it too.
    """

    def write(self, data: "ReadableBuffer", /) -> int:
        size = memoryview(data).nbytes
        try:
            return super().write(data) or size  # None: a full pipe that does not wait
        except OSError:
            return size


def open_streams() -> None:
    """Replace stderr by one that cannot fail, and open closed streams on the null device."""
    # else the next file that is opened gets the number, and what a library says on stderr is written into it
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        pass
    os.close(descriptor)
    encoding = sys.stderr.encoding if sys.stderr else "utf-8"
    buffer = io.BufferedWriter(Stderr(STDERR, "w", closefd=False))
    sys.stderr = io.TextIOWrapper(buffer, encoding, errors="backslashreplace", line_buffering=True)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a path that is not Unicode is written as its bytes
        sys.stdout.reconfigure(errors="surrogateescape")
