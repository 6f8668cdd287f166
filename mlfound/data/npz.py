"""Keras' `mnist.npz`: a zip of numpy arrays. Their headers are read by hand: nothing is evaluated or unpickled."""

import io
import math
import re
import zipfile

import torch
from torch import Tensor

from mlfound.data import idx
from mlfound.data.registry import NAMES
from mlfound.data.signatures import describe
from mlfound.errors import UserError

MEMBERS = ("x_train", "y_train", "x_test", "y_test")  # in the order of NAMES
MEMBER_BYTES = 48 * 2**20  # 60,000 images of 28 x 28 bytes are 47,040,000
MAX_ENTRIES = 100  # in the zip's list; Keras' has 4
ENTRY = b"PK\x01\x02"  # every entry of that list begins so
NUMPYS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # of the others zipfile unpacks more than was asked for
MAGIC = b"\x93NUMPY\x01\x00"
HEADER = rb"\{'descr': '(%s)', 'fortran_order': False, 'shape': \(%s\), \} *\n"
IMAGES = re.compile(HEADER % (rb"\|u1", rb"(\d{1,9}), (\d{1,9}), (\d{1,9})"))
LABELS = re.compile(HEADER % (rb"\|u1|<i8", rb"(\d{1,9}),"))


def read_npz(packed: bytes | bytearray, name: str) -> dict[str, bytearray]:
    """The four raw IDX files by name; a UserError about `name` if an array is not as Keras has it."""
    if not packed.startswith(b"PK"):
        raise UserError(f"{name} is {describe(packed) or 'not a zip archive'}")
    if packed.count(ENTRY) > MAX_ENTRIES:
        raise UserError(f"{name} has more than {MAX_ENTRIES} members")
    raws = {}
    for raw_name, member in zip(NAMES, MEMBERS, strict=True):
        content = _unpack(packed, f"{member}.npy", name)
        raws[raw_name] = idx.encode(_array(content, member.startswith("x"), f"{member} in {name}"))
    return raws


def _unpack(packed: bytes | bytearray, member: str, name: str) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            info = archive.getinfo(member)
            if info.compress_type not in NUMPYS:
                raise UserError(f"{name} compresses {member} in a way that numpy does not")
            with archive.open(info) as file:
                content = file.read(MEMBER_BYTES + 1)
    except UserError:
        raise
    except Exception:  # an odd archive raises nearly anything
        raise UserError(f"{name} is damaged, or does not contain {member} as Keras' mnist.npz does") from None
    if len(content) > MEMBER_BYTES:
        raise UserError(f"{member} in {name} unpacks to more than {MEMBER_BYTES:,} bytes")
    return content


def _array(content: bytes, images: bool, name: str) -> Tensor:
    """The array in a .npy file, uint8. Source of the format: numpy.lib.format, version 1.0."""
    end = 10 + int.from_bytes(content[8:10], "little")
    header = IMAGES if images else LABELS
    match = header.fullmatch(content, 10, end) if content.startswith(MAGIC) else None
    if not match:
        wanted = "images (rows, height, width) of uint8" if images else "labels (rows) of uint8 or int64"
        raise UserError(f"{name} does not contain {wanted}: it begins with {content[:90]!r}")
    width, shape = 8 if match[1] == b"<i8" else 1, [int(size) for size in match.groups()[1:]]
    if not 0 < math.prod(shape) * width == len(content) - end:
        raise UserError(f"{name} has {len(content) - end:,} bytes for {shape} numbers of {width} bytes")
    elements = torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=end).reshape(*shape, width)
    if elements[..., 1:].any():  # of a number's eight bytes the smallest stands first
        raise UserError(f"{name} has a label that is not a whole number from 0 to 255")
    return elements[..., 0]
