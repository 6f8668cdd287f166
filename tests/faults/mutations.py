"""Ways to spoil a file: of any kind, of its IDX header, of its gzip wrapping, of its pickle's opcodes."""

import functools
import gzip
import pickletools
import struct
import zlib
from collections.abc import Callable, Mapping
from random import Random

Mutation = Callable[[Random, bytes], bytes]

SIZES = (0, 1, 2, 5, 27, 29, 255, 256, 65_535, 65_536, 2**20, 2**26, 2**30, 2**31 - 1, 2**31, 2**32 - 1)
HOSTILE = (
    b"cos\nsystem\nU\x0ctouch canary\x85R",
    b"(S'touch canary'\nios\nsystem\n",
    b"cposix\nsystem\n",
    b"\x82\x01",
)


def place(rng: Random, content: bytes) -> int:
    """Somewhere in it; half of the time near its beginning, where formats have their headers."""
    return rng.randrange(min(len(content), rng.choice((64, len(content)))) or 1) if content else 0


def piece(rng: Random) -> bytes:
    return rng.choice(
        (rng.randbytes(rng.randint(1, 8)), bytes(rng.randint(1, 64)), b"\xff" * rng.randint(1, 8))
    )


def bits(rng: Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 20)) if content else 0):
        changed[place(rng, content)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def over(rng: Random, content: bytes) -> bytes:
    at, new = place(rng, content), piece(rng)
    return content[:at] + new + content[at + len(new) :]


def into(rng: Random, content: bytes) -> bytes:
    at = place(rng, content)
    return content[:at] + piece(rng) + content[at:]


def out(rng: Random, content: bytes) -> bytes:
    at = place(rng, content)
    return content[:at] + content[at + rng.choice((1, 2, 16, 784, 3136)) :]


def twice(rng: Random, content: bytes) -> bytes:
    at, length = place(rng, content), rng.choice((1, 16, 784, len(content)))
    return content[: at + length] + content[at:]


def cut(rng: Random, content: bytes) -> bytes:
    return content[: rng.choice((place(rng, content), len(content) - rng.randint(1, 20)))]


def longer(rng: Random, content: bytes) -> bytes:
    return content + rng.choice((piece(rng), bytes(rng.randint(1, 4096)), content, content[:784]))


def nothing_left(rng: Random, content: bytes) -> bytes:
    return rng.choice((b"", b"\0", bytes(len(content)), content[:1]))


def a_page(rng: Random, content: bytes) -> bytes:
    return b"<html>Please log in</html>"


def idx_magic(rng: Random, content: bytes) -> bytes:
    magic = bytes((rng.choice((0, 0, 0, 1, 255)),) * 2 + (rng.choice((8, 8, 9, 11, 12, 13, 14, 0)),))
    return magic + bytes((rng.choice((0, 1, 2, 3, 4, 255)),)) + content[4:]


def idx_size(rng: Random, content: bytes) -> bytes:
    at = 4 + 4 * rng.randrange(3)
    if len(content) < at + 4:
        return content
    size = struct.unpack(">I", content[at : at + 4])[0]
    size = rng.choice((*SIZES, size + 1, size - 1, size * 2, size // 2)) % 2**32
    return content[:at] + struct.pack(">I", size) + content[at + 4 :]


def idx_sizes(rng: Random, content: bytes) -> bytes:
    """All three: also such as multiply to 0 modulo 2 ** 64, or to the right length in another shape."""
    rows = max(0, len(content) - 16) // 784
    sizes = rng.choice(
        ([2**22, 2**21, 2**21], [2**32 - 1] * 3, [0, 0, 0], [1, rows, 784], [rows, 14, 56], [rows, 784, 1])
    )
    return content[:4] + struct.pack(">3I", *sizes) + content[16:]


def gz_head(rng: Random, content: bytes) -> bytes:
    """Another method, other flags: a checksum, an extra field, a name and a comment that do not follow."""
    at = rng.choice((2, 3, 3, 3, 4, 8, 9))
    return content[:at] + bytes((rng.randrange(256),)) + content[at + 1 :]


def gz_name(rng: Random, content: bytes) -> bytes:
    """A name in the header, as gzip writes it: hostile, and of no importance."""
    name = rng.choice((b"../../canary", b"\x1b[2J", b"n" * 70_000, b"a\nb"))
    return content[:3] + b"\x08" + content[4:10] + name + b"\0" + content[10:]


def gz_tail(rng: Random, content: bytes) -> bytes:
    """The checksum or the length at the end."""
    which = rng.choice((slice(-8, -4), slice(-4, None)))
    tail = bytearray(content[-8:])
    tail[which] = rng.choice((rng.randbytes(4), bytes(4), b"\xff" * 4))
    return content[:-8] + bytes(tail)


def gz_members(rng: Random, content: bytes) -> bytes:
    """A second member behind it or before it, as `cat a.gz b.gz` makes them, or very many; or zeros behind it."""
    other = gzip.compress(rng.choice((b"", b"x", bytes(10_000), b"\0\0\x08\x03")), 1)
    empty = gzip.compress(b"", 1) * rng.choice((1, 500, 20_000))
    zeros = bytes(rng.choice((1, 512, 100_000)))
    return rng.choice((content + other, other + content, content * 2, empty + content, content + zeros))


def gz_split(rng: Random, content: bytes) -> bytes:
    """The same data in two members. It is right and may be read."""
    raw = unpacked(content)
    at = place(rng, raw)
    return gzip.compress(raw[:at], 1) + gzip.compress(raw[at:], 1)


def gz_again(rng: Random, content: bytes) -> bytes:
    return gzip.compress(content, rng.choice((0, 1, 9)))


def gz_blocks(rng: Random, content: bytes) -> bytes:
    """The same data in another of gzip's forms: stored, or another level. It is right and may be read."""
    return gzip.compress(unpacked(content), rng.choice((0, 1, 9)))


def gz_bomb(rng: Random, content: bytes) -> bytes:
    """Far more zeros than the format needs, alone or behind the right beginning."""
    begin = unpacked(content)[: rng.choice((0, 16, 10_000))]
    return packed_zeros(begin, rng.choice((1, 10, 600))) * rng.choice((1, 1, 2))


def unpacked(content: bytes) -> bytes:
    """What is in a `.gz`, as far as it goes, but no bomb's worth of it."""
    try:
        return zlib.decompressobj(wbits=31).decompress(content, 8 * 2**20)
    except zlib.error:
        return b""


@functools.cache
def packed_zeros(head: bytes, mib: int) -> bytes:
    """The `.gz` of `head` and so many MiB of zeros, made in no time: one packed block, repeated."""
    engine, zeros = zlib.compressobj(9, wbits=-15), bytes(2**20)
    begin = engine.compress(head) + engine.flush(zlib.Z_FULL_FLUSH)
    block = engine.compress(zeros) + engine.flush(zlib.Z_FULL_FLUSH)
    checksum = zlib.crc32(head)
    for _ in range(mib):
        checksum = zlib.crc32(zeros, checksum)
    tail = struct.pack("<II", checksum, (len(head) + mib * 2**20) % 2**32)
    return b"\x1f\x8b\x08" + bytes(7) + begin + block * mib + engine.flush() + tail


def opcodes(content: bytes) -> list[int]:
    """Where each opcode of a pickle stands, as far as it can be read."""
    places = []
    try:
        places.extend(at for _, _, at in pickletools.genops(content))
    except Exception:
        places.append(0)
    return places


def opcode_changed(rng: Random, content: bytes) -> bytes:
    at = rng.choice(opcodes(content))
    code = rng.choice([code.code for code in pickletools.opcodes]).encode("latin-1")
    return content[:at] + code + content[at + 1 :]


def opcode_gone(rng: Random, content: bytes) -> bytes:
    places = [*opcodes(content), len(content)]
    at = rng.randrange(len(places) - 1)
    return content[: places[at]] + content[places[at + 1] :]


def opcode_twice(rng: Random, content: bytes) -> bytes:
    places = [*opcodes(content), len(content)]
    at = rng.randrange(len(places) - 1)
    return content[: places[at + 1]] + content[places[at] :]


def opcodes_swapped(rng: Random, content: bytes) -> bytes:
    places = [*opcodes(content), len(content)]
    a, b, c = sorted(rng.choice(places) for _ in range(3))
    return content[:a] + content[b:c] + content[a:b] + content[c:]


def opcode_spliced(rng: Random, content: bytes) -> bytes:
    """A program of someone else's between two opcodes, or in place of one."""
    places = [*opcodes(content), len(content)]
    at = rng.randrange(len(places) - 1)
    return content[: places[at]] + rng.choice(HOSTILE) + content[places[at + rng.randrange(2)] :]


def opcode_length(rng: Random, content: bytes) -> bytes:
    """A string that says it is longer or shorter than it is."""
    at = content.find(b"T", rng.randrange(len(content) or 1))
    length = rng.choice((0, 1, 2**31 - 1, -1, -(2**31), len(content), rng.randrange(2**20)))
    return content[: at + 1] + struct.pack("<i", length) + content[at + 5 :]


ANY: Mapping[str, Mutation] = {
    "bits": bits, "over": over, "into": into, "out": out, "twice": twice, "cut": cut, "longer": longer,
    "nothing left": nothing_left, "a page": a_page,
}  # fmt: skip
IDX: Mapping[str, Mutation] = {"magic": idx_magic, "size": idx_size, "sizes": idx_sizes}
GZIP: Mapping[str, Mutation] = {
    "head": gz_head, "name": gz_name, "tail": gz_tail, "members": gz_members, "again": gz_again,
    "blocks": gz_blocks, "bomb": gz_bomb, "split": gz_split,
}  # fmt: skip
PICKLE: Mapping[str, Mutation] = {
    "opcode changed": opcode_changed, "opcode gone": opcode_gone, "opcode twice": opcode_twice,
    "opcodes swapped": opcodes_swapped, "opcode spliced": opcode_spliced, "opcode length": opcode_length,
}  # fmt: skip


def spoiled(rng: Random, content: bytes, *kinds: Mapping[str, Mutation]) -> bytes:
    """One mutation of the given kinds, sometimes two or three, one after the other."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        kind = rng.choice(kinds)
        content = kind[rng.choice(sorted(kind))](rng, content)
    return content
