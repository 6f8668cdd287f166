"""Files that are written whole or not at all, read up to a size, and locks.

A reader meets the old content or the new, never half of it. What a disk cannot do costs that and no more.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EACCES, EBADF, EINVAL, ENOLCK, ENOSYS, ENOTSUP, EOPNOTSUPP, EPERM
from io import BufferedReader
from pathlib import Path
from typing import IO, TYPE_CHECKING

from mlfound.errors import UserError

if TYPE_CHECKING:
    from filelock import FileLock

# How a file system says that it has no such call: CIFS, DrvFs, vboxsf (fsync of a folder), NFS, Lustre (flock), FUSE.
# All else is a fault that may cost what was written, EIO and ENOSPC above all, and stays an error.
UNSUPPORTED = {EINVAL, ENOSYS, ENOTSUP, EOPNOTSUPP, ENOLCK}
# vfat refuses a chmod with EPERM, AIX an fsync of a folder with EBADF, and a folder that may be written but not read
# cannot be opened for it (EACCES). What these calls are on has just been written; the file of a lock has not.
REFUSED = UNSUPPORTED | {EPERM, EACCES, EBADF}

POWER_CUT = "a power cut may cost what was written last"
_shortfalls: dict[str, str] = {}  # by what is missing: the line that says so, empty once it was given away

NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # a pipe must not make us wait for its writer
NO_LINK = getattr(os, "O_NOFOLLOW", 0)


@contextmanager
def open_plain(path: str | Path, *, follow_links: bool = False) -> Iterator[BufferedReader]:
    """A plain file to read from; anything else, and a failure in the block, is a UserError that names it.

    Links are followed only to inputs that a user names: in a run folder they could lead anywhere.
    """
    name, special = str(path) or "''", NO_WAIT | (0 if follow_links else NO_LINK)
    try:
        with open(path, "rb", opener=lambda path, flags: os.open(path, flags | special)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UserError(f"{name}: this is no plain file")
            yield file
    except FileNotFoundError:
        raise UserError(f"{name}: there is no such file") from None
    except IsADirectoryError:
        raise UserError(f"{name}: this is a folder; name a file") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
        is_link = not follow_links and os.path.islink(path)
        reason = "it is a link" if is_link else getattr(error, "strerror", None) or error
        raise UserError(f"{name}: cannot be read ({reason})") from None


def read_plain(path: str | Path, limit: int, *, follow_links: bool = False) -> bytes:
    """The content of a plain file of at most `limit` bytes; anything else is a UserError that names it."""
    with open_plain(path, follow_links=follow_links) as file:
        size = os.fstat(file.fileno()).st_size
        if size <= limit:
            content = file.read(size + 1)  # not limit + 1: so much memory is taken at once
            if len(content) > size:  # it grows, or its size is not known beforehand
                content += file.read(limit + 1 - len(content))
            if len(content) <= limit:
                return content
    raise UserError(f"{path}: larger than {limit:,} bytes")


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` to `path` durably: temporary file beside it, fsync, replace, fsync of the folder.

    A new file has the mode that the umask says, one that is replaced keeps its own.
    """
    temporary, old = path.with_name(f".{path.name}-{os.urandom(4).hex()}"), mode_of(path)
    mode = 0o666 if old is None else old
    with blaming(path):
        try:
            with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
                file.write(content)
                sync_file(file, path)
            if old not in (None, mode_of(temporary)):  # more than the umask allows
                with may_lack("chmod", path, "its mode has changed", REFUSED):
                    os.chmod(temporary, mode)
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        sync_folder(path.parent)


def mode_of(path: Path) -> int | None:
    """The mode of a file, where there is one."""
    with suppress(OSError):
        status = path.stat()
        return stat.S_IMODE(status.st_mode) if stat.S_ISREG(status.st_mode) else None
    return None


def remove_debris(folder: Path) -> None:
    """Remove what killed writes left in `folder`: for whoever alone may write there."""
    for path in folder.glob(".*-????????"):
        if path.is_file() and not path.is_symlink():  # what else has such a name is not ours
            path.unlink()


def sync_file(file: IO[bytes], path: Path) -> None:
    """Make what was written to `file`, which is or will be `path`, survive a power cut."""
    file.flush()
    with blaming(path), may_lack("fsync of files", path, POWER_CUT):
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut, where the system can (Windows cannot)."""
    if os.name == "posix":
        with blaming(folder), may_lack("fsync of folders", folder, POWER_CUT, REFUSED):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def lock(path: Path, timeout: float = 0) -> "FileLock":
    """The lock on the file `path`, held until released or the process ends; filelock.Timeout if another has it.

    Where the file system has no locks, it is not held (`is_locked`), and to release it does nothing.
    """
    from filelock import FileLock  # here: it takes longer to import than a notebook takes to export

    held = FileLock(path, fallback_to_soft=False)  # a soft lock would survive a process that is killed
    with blaming(path), may_lack("flock", path, "nothing keeps a second process from writing here too"):
        held.acquire(timeout=timeout)
    return held


@contextmanager
def may_lack(call: str, path: Path, cost: str, signs: set[int] = UNSUPPORTED) -> Iterator[None]:
    """An OSError in here with one of these numbers says that the file system lacks `call`: noted, and passed over."""
    try:
        yield
    except OSError as error:
        if error.errno not in signs:
            raise
        line = f"{path}: this file system does not support {call} ({error.strerror}): {cost}"
        _shortfalls.setdefault(call, line)


def shortfalls() -> list[str]:
    """What file systems turned out to lack since this was last called, a line a call; none is said twice."""
    lines = [line for line in _shortfalls.values() if line]
    _shortfalls.update(dict.fromkeys(_shortfalls, ""))
    return lines


@contextmanager
def blaming(path: Path) -> Iterator[None]:
    """An OSError in here names `path`: a full disk does not say for which file it had no room."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise
