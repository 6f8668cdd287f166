"""The IDX format: what encode writes decode reads, beside bytes written by hand, and nothing else passes."""

import struct

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mlfound.data import idx
from mlfound.errors import UserError


def test_header_is_that_of_the_format():
    images = torch.arange(12, dtype=torch.uint8).reshape(2, 3, 2)
    assert idx.encode(images) == bytes.fromhex("00000803 00000002 00000003 00000002") + bytes(range(12))
    labels = torch.tensor([7, 0, 255], dtype=torch.uint8)
    assert idx.encode(labels) == bytes.fromhex("00000801 00000003") + bytes([7, 0, 255])


@given(st.lists(st.integers(1, 5), min_size=3, max_size=3), st.integers(0, 2**32))
def test_decode_undoes_encode(sizes, seed):
    images = torch.randint(0, 256, sizes, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    assert torch.equal(idx.decode(idx.encode(images), "images", 3), images)
    assert torch.equal(idx.decode(idx.encode(images.flatten()), "labels", 1), images.flatten())


def test_encode_takes_a_tensor_that_is_not_contiguous():
    images = torch.arange(24, dtype=torch.uint8).reshape(2, 3, 4).transpose(1, 2)
    assert torch.equal(idx.decode(idx.encode(images), "images", 3), images)


def test_decode_copies_nothing():
    raw = idx.encode(torch.zeros(5, dtype=torch.uint8))
    labels = idx.decode(raw, "labels", 1)
    raw[8] = 9
    assert labels[0] == 9


def images(*sizes, magic=(0, 0, 8, 3), body=None):
    return struct.pack(">4B3I", *magic, *sizes) + (bytes(sizes[0] * 4) if body is None else body)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "it begins nowhere"),
        (b"\0\0\x08\x03", "not an IDX file"),
        (images(3, 2, 2)[:15], "not an IDX file"),
        (images(3, 2, 2, magic=(0, 0, 8, 1)), "it begins 00000801, not 00000803"),
        (images(3, 2, 2, magic=(0, 0, 9, 3)), "it begins 00000903"),
        (images(3, 2, 2, magic=(1, 0, 8, 3)), "it begins 01000803"),
        (b"\x1f\x8b" + bytes(20), "it begins 1f8b0000"),
        (b"<html>" + bytes(20), "not an IDX file"),
        (images(3, 2, 2)[:-1], "has 27 bytes where its header promises 28"),
        (images(3, 2, 2) + b"\0", "has 29 bytes where its header promises 28"),
        (images(3, 2, 2)[:16], "has 16 bytes where its header promises 28"),
        (images(0, 2, 2), "claims the size 0 x 2 x 2"),
        (images(3, 0, 2), "claims the size 3 x 0 x 2"),
        (images(3, 2, 0), "claims the size 3 x 2 x 0"),
        (images(2**32 - 1, 2**32 - 1, 2**32 - 1, body=b""), "claims the size 4294967295 x"),
        (images(2**16, 2**16, 2**16, body=b""), "which cannot be"),  # 2**48: 0 in 32 bits
        (images(2**30 + 1, 1, 1, body=b""), "which cannot be"),
    ],
)
def test_decode_refuses(raw, words):
    with pytest.raises(UserError, match=r"^digits\.idx ") as caught:
        idx.decode(bytearray(raw), "digits.idx", 3)
    assert words in str(caught.value)
