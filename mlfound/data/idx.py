"""The IDX format of the MNIST files, for elements of one byte (type 8).

Two zero bytes, the element type, the number of dimensions, each size as a big-endian uint32; then the
elements, last dimension fastest. Source: LeCun, Cortes, Burges, "The MNIST database", section "File formats".
"""

import math
import struct

import torch
from torch import Tensor

from mlfound.errors import UserError

UINT8 = 8
HEADER_BYTES = 16  # the longer of the two headers that we read, that of images
MAX_BYTES = 2**30  # beyond it a header is taken for nonsense


def shape(raw: bytes | bytearray, name: str, dimensions: int) -> tuple[int, ...]:
    """The sizes that the header in `raw` promises; a UserError about `name` if there is no sane header."""
    magic = bytes((0, 0, UINT8, dimensions))
    head = 4 + 4 * dimensions
    if len(raw) < head or raw[:4] != magic:
        raise UserError(
            f"{name} is not an IDX file of bytes in {dimensions} dimensions: "
            f"it begins {raw[:4].hex() or 'nowhere'}, not {magic.hex()}"
        )
    sizes = struct.unpack(f">{dimensions}I", raw[4:head])
    if not 0 < math.prod(sizes) <= MAX_BYTES:
        raise UserError(f"{name} claims the size {' x '.join(map(str, sizes))}, which cannot be")
    return sizes


def length(raw: bytes | bytearray, name: str, dimensions: int) -> int:
    """How many bytes the whole file must have, by its header."""
    return 4 + 4 * dimensions + math.prod(shape(raw, name, dimensions))


def decode(raw: bytearray, name: str, dimensions: int) -> Tensor:
    """The elements of an IDX file, uint8, in the header's shape; they share the memory of `raw`.

    Errors: a UserError about `name` unless `raw` is exactly one well-formed file of so many dimensions.
    """
    wanted = length(raw, name, dimensions)
    if len(raw) != wanted:
        raise UserError(f"{name} has {len(raw):,} bytes where its header promises {wanted:,}")
    return torch.frombuffer(raw, dtype=torch.uint8, offset=4 + 4 * dimensions).reshape(
        shape(raw, name, dimensions)
    )


def encode(elements: Tensor) -> bytearray:
    """The IDX file of a uint8 tensor: what `decode` reads back."""
    header = struct.pack(f">4B{elements.dim()}I", 0, 0, UINT8, elements.dim(), *elements.shape)
    raw = bytearray(header) + bytearray(elements.numel())
    torch.frombuffer(raw, dtype=torch.uint8, offset=len(header)).copy_(elements.flatten())
    return raw
