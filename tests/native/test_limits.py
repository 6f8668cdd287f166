"""The work that shows a core's limits: how much of it there is, and that it can be done."""

import pytest
import torch

from mlfound.native import compiling, limits

pytestmark = pytest.mark.skipif(compiling.unavailable() is not None, reason="there is no C compiler here")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_operations(dtype):
    work, operations = limits.multiply_adds(dtype)
    work()
    lanes = compiling.library().vector_bytes() / dtype.itemsize
    assert lanes in (4, 8, 16)
    assert operations == 2 * lanes * limits.SUMS * limits.ROUNDS
    assert f"#define SUMS {limits.SUMS} " in (compiling.SOURCES / "limits.c").read_text()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [1, 256, 1000.0, 23_720, 2**23 + 5])
def test_what_is_read(dtype, size):
    work, read = limits.reading(size, dtype)
    work()
    assert read % 256 == 0
    assert read >= limits.BYTES / 2
    assert read <= 2 * limits.BYTES
