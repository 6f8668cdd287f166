"""Files that are written whole or not at all: a reader meets the old content or the new, never half of it."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` to `path` durably: temporary file beside it, fsync, replace, fsync of the folder."""
    with blaming(path):
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)  # mkstemp makes files that only their owner may read
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        sync_folder(path.parent)


def remove_debris(folder: Path) -> None:
    """Remove what killed writes left in `folder`: for whoever alone may write there."""
    for path in folder.glob(".*-????????"):
        path.unlink()


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut, where the system can (Windows cannot)."""
    if os.name == "posix":
        with blaming(folder):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


@contextmanager
def blaming(path: Path) -> Iterator[None]:
    """An OSError in here names `path`: a full disk does not say for which file it had no room."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise
