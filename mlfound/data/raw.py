"""One file of a dataset as the user or the cache has it: found under its several names, bounded, unpacked."""

import os
import zlib
from pathlib import Path

from mlfound.data import idx
from mlfound.errors import UserError

CHUNK = 1 << 20
SLACK = 1 << 16  # gzip never makes a file longer than this much more
UNASKED, TIMES = 1 << 24, 100  # a file may unpack to 16 MiB, and to more if no more than 100 times its size


def dimensions(name: str) -> int:
    """3 for a file of images, 1 for labels: the raw name says so (`idx3`, `idx1`)."""
    return 3 if "idx3" in name else 1


def variants(name: str) -> list[str]:
    """The names people give a raw file: `train-images-idx3-ubyte`, `train-images.idx3-ubyte`, each also `.gz`."""
    dotted = name.replace("-idx", ".idx")
    return [name, dotted, f"{name}.gz", f"{dotted}.gz"]


def find_raw(folder: Path, name: str) -> Path | None:
    """The first of the variants of `name` that is in `folder`."""
    return next((folder / variant for variant in variants(name) if os.path.exists(folder / variant)), None)


def read_raw(path: Path, name: str, limit: int | None = None) -> bytearray:
    """The raw bytes of the file at `path`, unpacked if gzip packed them: at most `limit`.

    Without a limit the file's own IDX header sets it, as far as that can be believed. Errors: a UserError if
    the file is no regular file, cannot be read, is longer or is not whole.
    """
    packed = read_file(path, (limit or idx.MAX_BYTES) + SLACK)
    if not packed.startswith(b"\x1f\x8b"):
        if limit is not None and len(packed) > limit:
            raise UserError(f"{path} holds more than {limit:,} bytes")
        return packed
    if limit is None:
        limit = idx.length(_head(packed), str(path), dimensions(name))
        if limit > max(UNASKED, TIMES * len(packed)):
            raise UserError(
                f"{path} says that it unpacks to {limit:,} bytes; if you trust it, unpack it first"
            )
    return gunzip(packed, limit, str(path))


def read_file(path: Path, limit: int) -> bytearray:
    """The bytes of a regular file of at most `limit` bytes; anything else is a UserError."""
    try:
        if not path.is_file():  # a device would never end, a pipe never begin
            raise UserError(f"{path} is not a file" if path.exists() else f"{path} does not exist")
        with path.open("rb") as file:
            content = bytearray(min(path.stat().st_size, limit + 1))
            count = file.readinto(content)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    if count > limit:
        raise UserError(f"{path} holds more than {limit:,} bytes")
    return content[:count] if count < len(content) else content


def gunzip(packed: bytes | bytearray, limit: int, name: str) -> bytearray:
    """What gzip packed: one whole member of at most `limit` bytes and nothing behind it, else a UserError."""
    engine = zlib.decompressobj(wbits=31)
    raw = bytearray()
    try:
        for start in range(0, len(packed), CHUNK):
            raw += engine.decompress(packed[start : start + CHUNK], limit + 1 - len(raw))
            if len(raw) > limit:
                raise UserError(f"{name} unpacks to more than {limit:,} bytes")
            if engine.unused_data:
                raise UserError(f"{name} has something behind its end")
    except zlib.error:
        raise UserError(f"{name} is a damaged gzip file") from None
    if not engine.eof:
        raise UserError(f"{name} breaks off in the middle")
    return raw


def _head(packed: bytearray) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(packed, idx.HEADER_BYTES)
    except zlib.error:
        return b""
