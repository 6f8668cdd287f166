"""Ways to spoil Keras' mnist.npz: the headers of its arrays, and the zip around them."""

import io
import struct
import zipfile
from collections.abc import Mapping
from random import Random

from tests.faults.mutations import ANY, Mutation, packed_zeros, place, spoiled

SHAPES = (
    "4, 28, 28",
    "4,",
    "",
    "-1,",
    "0, 28, 28",
    "999999999, 999999999, 999999999",
    "18446744073709551616,",
)
KINDS = ("|u1", "<i8", ">i8", "|O", "|i1", "<f4", "|V784", "<U9999999")


def npy_header(rng: Random, content: bytes) -> bytes:
    """A huge shape, objects, Fortran's order; or what a reader that evaluates headers would run."""
    fields = rng.choice(KINDS), rng.choice((True, False)), rng.choice(SHAPES)
    honest = "{{'descr': '{}', 'fortran_order': {}, 'shape': ({}), }}".format(*fields)
    text = rng.choice(
        (honest, honest, "__import__('os').system('touch canary')", "(" * 9_000, "9**9**9")
    ).encode()
    return content[:8] + struct.pack("<H", len(text) + 1) + text + b"\n" + content[128:]


def npy_length(rng: Random, content: bytes) -> bytes:
    """A header that says it is of another length, or of another version."""
    length = struct.pack("<H", rng.choice((0, 1, 64, 117, 119, 65_535)))
    return content[:6] + bytes((rng.choice((1, 1, 2, 3, 255)), 0)) + length + content[10:]


def zip_field(rng: Random, content: bytes) -> bytes:
    """A field of a member's header, or of its entry in the list: flags, method, checksum, sizes, offset."""
    mark, fields = rng.choice(
        ((b"PK\3\4", (6, 8, 14, 18, 22, 26, 28)), (b"PK\1\2", (8, 10, 16, 20, 24, 28, 30, 42)))
    )
    at = content.find(mark, place(rng, content)) + rng.choice(fields)
    new = struct.pack("<I", rng.choice((0, 1, 9, 12, 14, 2**16 - 1, 2**31, 2**32 - 1)))[: rng.choice((2, 4))]
    return content[:at] + new + content[at + len(new) :]


def zip_end(rng: Random, content: bytes) -> bytes:
    """What stands at its end: the length and the place of the list; or a record for larger zips before it."""
    at = max(content.rfind(b"PK\5\6"), 0)
    sizes = struct.pack("<II", *(rng.choice((0, 1, 2**16, 2**31, 2**32 - 1, len(content))) for _ in range(2)))
    if rng.random() < 0.5:
        return content[: at + 12] + sizes + content[at + 20 :]
    record = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, 2**40, 2**40, len(content), 0)
    return content[:at] + record + struct.pack("<4sIQI", b"PK\6\7", 0, at, 1) + content[at:]


def zip_entries(rng: Random, content: bytes) -> bytes:
    """Its list again and again: in memory each entry takes ten times what it takes here."""
    begin, end = content.find(b"PK\1\2"), content.rfind(b"PK\5\6")
    if not 0 <= begin < end:
        return content
    many = content[begin:end][:1_000] * rng.choice((2, 24, 26, 20_000))
    return (
        content[:begin] + many + content[end : end + 12] + struct.pack("<I", len(many)) + content[end + 16 :]
    )


def zip_packed_again(rng: Random, content: bytes) -> bytes:
    """With other members beside the four, under other names, or packed in another way."""
    names = ("x_train.npy", "../../canary", "/canary", "canary.npy", "C:\\canary", "y" * 65_000)
    method = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    members = {
        rng.choice(names) if rng.random() < 0.1 else name: member
        for name, member in members_of(content).items()
    }
    members |= dict.fromkeys(rng.sample(names[1:], rng.randrange(3)), b"canary")
    return zipped(members, method)


def zip_bomb(rng: Random, content: bytes) -> bytes:
    """A member of far more zeros than an array has; what the zip says of its size is true, or what is wanted."""
    name, mib = rng.choice((b"x_train.npy", b"y_test.npy")), rng.choice((1, 49, 1_000))
    packed = packed_zeros(rng.choice((b"", b"\x93NUMPY\1\0")), mib)
    checksum = packed[-8:-4]
    data, size = packed[10:-8], struct.unpack("<I", packed[-4:])[0]
    sizes = checksum + struct.pack("<II", len(data), rng.choice((size, 3_264)))
    head = struct.pack("<3HI", 20, 0, 8, 0) + sizes + struct.pack("<2H", len(name), 0)
    entry = b"PK\1\2\x14\0" + head + bytes(14) + name
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(entry), 30 + len(name) + len(data), 0)
    return b"PK\3\4" + head + name + data + entry + end


def members_of(content: bytes) -> dict[str, bytes]:
    """Its members by name, as far as they can be read, but no bomb's worth of them."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {name: archive.open(name).read(2**20) for name in archive.namelist()[:8]}
    except Exception:
        return {}


def zipped(members: Mapping[str, bytes], method: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return file.getvalue()


NPY: Mapping[str, Mutation] = {"header": npy_header, "length": npy_length}
ZIP: Mapping[str, Mutation] = {
    "field": zip_field, "end": zip_end, "entries": zip_entries, "packed again": zip_packed_again, "bomb": zip_bomb,
}  # fmt: skip


def spoiled_npz(rng: Random, content: bytes) -> bytes:
    """One array spoiled inside a sound zip, or the zip itself."""
    if rng.random() < 0.5:
        return spoiled(rng, content, ANY, ZIP)
    members = members_of(content)
    name = rng.choice(sorted(members))
    members[name] = spoiled(rng, members[name], ANY, NPY, NPY)
    return zipped(members, zipfile.ZIP_STORED)
