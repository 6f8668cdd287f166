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
        (b"", "it begins with nothing"),
        (b"\0\0\x08\x03", "not an IDX file"),
        (images(3, 2, 2)[:15], "not an IDX file"),
        (images(3, 2, 2, magic=(0, 0, 8, 1)), "it begins with 00000801, not 00000803"),
        (images(3, 2, 2, magic=(0, 0, 9, 3)), "it begins with 00000903"),
        (images(3, 2, 2, magic=(1, 0, 8, 3)), "it begins with 01000803"),
        (b"\x89PNG" + bytes(20), "it begins with 89504e47"),
        (
            b"\x1f\x8b" + bytes(20),
            "is packed by gzip once too often; unpack it once with gunzip",
        ),
        (b"<html>" + bytes(20), "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1", "is a pointer of Git LFS"),
        (images(3, 2, 2, magic=(0, 0, 12, 2)), "it begins with 00000c02, not 00000803"),
        (images(3, 2, 2)[:-1], "has 27 bytes where its header promises 28"),
        (images(3, 2, 2) + b"\0", "has 29 bytes where its header promises 28"),
        (images(3, 2, 2)[:16], "has 16 bytes where its header promises 28"),
        (images(0, 2, 2), "claims the size 0 x 2 x 2"),
        (images(3, 0, 2), "claims the size 3 x 0 x 2"),
        (images(3, 2, 0), "claims the size 3 x 2 x 0"),
        (images(2**32 - 1, 2**32 - 1, 2**32 - 1, body=b""), "claims the size 4294967295 x"),
        (images(2**16, 2**16, 2**16, body=b""), "which is not possible"),  # 2**48: 0 in 32 bits
        (images(2**30 + 1, 1, 1, body=b""), "which is not possible"),
    ],
)
def test_decode_refuses(raw, words):
    with pytest.raises(UserError, match=r"^digits\.idx ") as caught:
        idx.decode(bytearray(raw), "digits.idx", 3)
    assert words in str(caught.value)


def table(*rows, sizes=None, magic=(0, 0, 12, 2)):
    """QMNIST's labels: int32, a row for each image, the class first."""
    sizes = sizes or (len(rows), len(rows[0]))
    body = struct.pack(f">{sum(map(len, rows))}i", *(number for row in rows for number in row))
    return bytearray(struct.pack(">4B2I", *magic, *sizes) + body)


def test_the_first_column_of_qmnists_labels_is_the_class():
    raw = table((5, 0, -1, 2**31 - 1), (0, 4, 7, 8), (255, 0, 0, 0))
    labels = idx.decode(raw, "labels", 1)
    assert labels.dtype == torch.uint8
    assert labels.tolist() == [5, 0, 255]
    assert idx.length(raw[:16], "labels", 1) == len(raw)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (table((256, 0)), "has a label that is not a whole number from 0 to 255"),
        (table((-1, 0)), "has a label that is not a whole number from 0 to 255"),
        (table((2**24, 0)), "has a label that is not a whole number from 0 to 255"),
        (table((1, 2))[:-1], "has 19 bytes where its header promises 20"),
        (table((1, 2)) + b"x", "has 21 bytes where its header promises 20"),
        (table((1, 2), sizes=(2, 2)), "has 20 bytes where its header promises 28"),
        (table((1, 2), sizes=(0, 2)), "claims the size 0 x 2"),
        (table((1, 2), sizes=(2, 0)), "claims the size 2 x 0"),
        (table((1, 2), sizes=(2**28 + 1, 1)), "which is not possible"),
        (table((1, 2), sizes=(2**31, 2**31)), "which is not possible"),
        (table((1, 2))[:11], "it ends within its header"),
        (table((1, 2), magic=(0, 0, 12, 1)), "it begins with 00000c01, not 00000801"),
        (table((1, 2), magic=(0, 0, 13, 2)), "it begins with 00000d02, not 00000801"),
        (table((1, 2), magic=(0, 0, 8, 2)), "it begins with 00000802, not 00000801"),
    ],
)
def test_labels_of_another_kind_are_refused(raw, words):
    with pytest.raises(UserError, match=r"^labels\.idx ") as caught:
        idx.decode(bytearray(raw), "labels.idx", 1)
    assert words in str(caught.value)
