"""Reads one file of a dataset from the user or the cache: bounded, unpacked, verified."""

import hashlib
import os
import re
import zlib
from pathlib import Path

from mlfound.data import idx
from mlfound.data.registry import File, owner
from mlfound.data.signatures import WEB_PAGE, describe
from mlfound.errors import UserError
from mlfound.files import open_plain

CHUNK = 1 << 16
MAX_MEMBERS = 10_000  # of a gzip file; packed in blocks of 64 KiB, the images of MNIST have 720
SLACK = 1 << 16  # bytes that gzip adds at most to a file it cannot compress
MAX_UNPACKED_BYTES, MAX_RATIO = 1 << 24, 100  # a file may unpack to 16 MiB, or to 100 times its size
GZIP = b"\x1f\x8b"
ZEROS = re.compile(rb"\0*")


def dimensions(name: str) -> int:
    """3 for a file of images, 1 for labels: the raw name says so (`idx3`, `idx1`)."""
    return 3 if "idx3" in name else 1


def read_raw(path: Path, name: str, limit: int | None = None) -> bytearray:
    """The raw bytes of the file at `path`, unpacked if gzip packed them: at most `limit`.

    Without a limit the file's own IDX header sets it, within bounds. Errors: a UserError if it is longer or ends
    early, or is no file that can be read.
    """
    packed = read_file(path, (limit or idx.MAX_BYTES) + SLACK)
    if not packed.startswith(GZIP):
        if limit is not None and len(packed) > limit:
            raise UserError(f"{path} has more than {limit:,} bytes")
        return packed
    if limit is None:
        limit = idx.length(_unpack(packed, idx.HEADER_BYTES, str(path)), str(path), dimensions(name))
        if limit > max(MAX_UNPACKED_BYTES, MAX_RATIO * len(packed)):
            raise UserError(f"{path} claims to unpack to {limit:,} bytes; if you trust it, unpack it first")
    return gunzip(packed, limit, str(path))


def read_file(path: Path, limit: int) -> bytearray:
    """The bytes of a plain file of at most `limit` bytes; anything else is a UserError."""
    with open_plain(path, follow_links=True) as file:
        content = bytearray(min(os.fstat(file.fileno()).st_size, limit + 1))
        del content[file.readinto(content) :]
    if describe(content) == WEB_PAGE:  # of whatever length
        raise UserError(f"{path} is {WEB_PAGE}")
    if len(content) > limit:
        raise UserError(f"{path} has more than {limit:,} bytes")
    return content


def gunzip(packed: bytes | bytearray, limit: int, name: str) -> bytearray:
    """Unpack gzip: complete members of at most `limit` bytes in all, zeros allowed after them; else a UserError.

    `cat a.gz b.gz` makes several members, a tape pads with zeros. Source: RFC 1952, 2.2; the manual of gzip.
    """
    raw = _unpack(packed, limit + 1, name)
    if len(raw) > limit:
        known = describe(raw)
        raise UserError(f"{name} is {known}" if known else f"{name} unpacks to more than {limit:,} bytes")
    return raw


def verify(file: File, raw: bytes | bytearray, where: str) -> None:
    """A UserError about `where` unless `raw` has the digest of `file`; it says what `raw` is, where that is known."""
    found = hashlib.sha256(raw).hexdigest()
    if found != file.sha256:
        known = owner(found) or describe(raw)
        reason = f": it is {known}" if known else ""
        raise UserError(f"{where} has the wrong content for {file.name}{reason}")


def _unpack(packed: bytes | bytearray, most: int, name: str) -> bytearray:
    """The first `most` unpacked bytes; fewer only if there are no more."""
    raw, at = bytearray(), 0
    for _ in range(MAX_MEMBERS):
        at = _unpack_member(packed, at, raw, most, name)
        if len(raw) == most:
            return raw
        at = ZEROS.match(packed, at).end()  # type: ignore[union-attr]  # it matches nothing, too
        if at == len(packed):
            return raw
        if packed[at : at + 2] != GZIP:
            raise UserError(f"{name} has data after its end")
    raise UserError(f"{name} has more than {MAX_MEMBERS:,} gzip members")


def _unpack_member(packed: bytes | bytearray, at: int, raw: bytearray, most: int, name: str) -> int:
    """Append the member at `at` to `raw`, up to `most` bytes in all; returns where that member ends."""
    engine = zlib.decompressobj(wbits=31)
    try:
        for start in range(at, len(packed), CHUNK):
            part = packed[start : start + CHUNK]
            raw += engine.decompress(part, most - len(raw))
            if engine.eof or len(raw) == most:
                return start + len(part) - len(engine.unused_data)
    except zlib.error:
        known = "a damaged gzip file" if packed.startswith(GZIP) else describe(packed)
        raise UserError(f"{name} is {known or 'not a gzip file'}") from None
    raise UserError(f"{name} ends early")
