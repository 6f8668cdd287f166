"""The IDX format of the MNIST files: elements of one byte (type 8), and QMNIST's labels of four (type 12).

Two zero bytes, the element type, the number of dimensions, each size as a big-endian uint32; then the
elements, last dimension fastest. Source: LeCun, Cortes, Burges, "The MNIST database", section "File formats".
QMNIST has a row of 8 int32 for each image, the class first. Source: Yadav, Bottou, "Cold case: the lost MNIST
digits", 2019, and the README of its files.
"""

import math
import struct
from typing import TYPE_CHECKING

from mlfound.data.signatures import describe
from mlfound.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

UINT8, INT32 = 8, 12
HEADER_BYTES = 16  # the longest of the headers that we read, that of images
MAX_BYTES = 2**30  # a larger size in a header is refused


def header(raw: bytes | bytearray, name: str, dimensions: int) -> tuple[tuple[int, ...], int, int]:
    """The sizes in the header of `raw`, the header's bytes, those of an element; a UserError if it is not valid.

    `dimensions` is 3 for images and 1 for labels, which may also be QMNIST's table of int32.
    """
    magic = bytes((0, 0, UINT8, dimensions))
    table = bytes((0, 0, INT32, 2))
    if raw[:4] != magic and (raw[:4] != table or dimensions != 1):
        if known := describe(raw):
            raise UserError(f"{name} is {known}")
        raise UserError(
            f"{name} is not an IDX file of bytes in {dimensions} dimensions: "
            f"it begins with {raw[:4].hex() or 'nothing'}, not {magic.hex()}"
        )
    end, width = 4 + 4 * raw[3], 4 if raw[2] == INT32 else 1
    if len(raw) < end:
        raise UserError(f"{name} is not an IDX file: it ends within its header")
    sizes = struct.unpack(f">{raw[3]}I", raw[4:end])
    if not 0 < math.prod(sizes) * width <= MAX_BYTES:
        raise UserError(f"{name} claims the size {' x '.join(map(str, sizes))}, which is not possible")
    return sizes, end, width


def length(raw: bytes | bytearray, name: str, dimensions: int) -> int:
    """How many bytes the whole file must have, by its header."""
    sizes, end, width = header(raw, name, dimensions)
    return end + width * math.prod(sizes)


def decode(raw: bytearray, name: str, dimensions: int) -> "Tensor":
    """The elements of an IDX file, uint8, in the header's shape, sharing its memory; of QMNIST's labels the classes.

    Errors: a UserError about `name` unless `raw` is exactly one well-formed file, its labels from 0 to 255.
    """
    import torch  # here: a list of the datasets need not wait for it

    sizes, end, width = header(raw, name, dimensions)
    if len(raw) != (wanted := end + width * math.prod(sizes)):
        raise UserError(f"{name} has {len(raw):,} bytes where its header promises {wanted:,}")
    elements = torch.frombuffer(raw, dtype=torch.uint8, offset=end)
    if width == 1:
        return elements.reshape(sizes)
    classes = elements.reshape(*sizes, width)[:, 0]  # the largest byte first
    if classes[:, :3].any():
        raise UserError(f"{name} has a label that is not a whole number from 0 to 255")
    return classes[:, 3]


def encode(elements: "Tensor") -> bytearray:
    """The IDX file of a uint8 tensor: what `decode` reads back."""
    import torch

    head = struct.pack(f">4B{elements.dim()}I", 0, 0, UINT8, elements.dim(), *elements.shape)
    raw = bytearray(head) + bytearray(elements.numel())
    torch.frombuffer(raw, dtype=torch.uint8, offset=len(head)).copy_(elements.flatten())
    return raw
