"""The compiled products: shapes about the edges of tiles and blocks, read in steps, within the bound of rounding."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mlfound.foundations.checks import matmul_error
from mlfound.foundations.matmul import c_loops, c_tiled
from mlfound.foundations.randomness import generator
from mlfound.native import compiling

pytestmark = pytest.mark.skipif(compiling.unavailable() is not None, reason="there is no C compiler here")
RUNGS = {"c-loops": c_loops, "c-tiled": c_tiled}
SIZES = st.sampled_from([0, 1, 2, 5, 6, 7, 11, 12, 13, 15, 16, 17, 31, 32, 33, 50, 64, 65, 145])


def laid_out(x, layout):
    """The same numbers: rows after one another, columns after one another, or every other number of larger rows."""
    if layout == "columns":
        return x.T.contiguous().T
    if layout == "steps":
        return torch.stack([x, x + 1], dim=-1)[..., 0]
    return x


@pytest.mark.parametrize("rung", RUNGS)
@settings(max_examples=150, deadline=None)
@given(
    sizes=st.tuples(SIZES, SIZES, SIZES),
    layouts=st.tuples(*[st.sampled_from(["rows", "columns", "steps"])] * 2),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    seed=st.integers(0, 2**31),
)
def test_any_shape_in_any_layout(rung, sizes, layouts, dtype, seed):
    (m, k, n), draws = sizes, generator(seed, "test")
    a = laid_out(torch.randn(m, k, generator=draws, dtype=dtype), layouts[0])
    b = laid_out(torch.randn(k, n, generator=draws, dtype=dtype), layouts[1])
    assert matmul_error(RUNGS[rung](a, b), a, b) <= 1


@pytest.mark.parametrize("shape", [(150, 330, 40), (13, 700, 1030), (300, 5, 1100)])
def test_products_of_several_blocks(shape):
    m, k, n = shape
    a, b = (torch.randn(*each, generator=generator(0, "test")) for each in ((m, k), (k, n)))
    assert matmul_error(c_tiled(a, b), a, b) <= 1


@pytest.mark.parametrize("rung", RUNGS)
def test_nan_and_infinity_stay(rung):
    """-ffast-math would promise the compiler that there are none."""
    a, b = torch.ones(20, 30), torch.ones(30, 40)
    a[3, 4], a[5, 6], b[7, 8] = torch.nan, torch.inf, -torch.inf
    assert torch.equal(RUNGS[rung](a, b).isnan(), (a @ b).isnan())
    assert torch.equal(RUNGS[rung](a, b).isinf(), (a @ b).isinf())


@pytest.mark.parametrize("rung", RUNGS)
def test_a_repeat_gives_the_same_bits(rung):
    a, b = torch.randn(64, 784), torch.randn(784, 50)
    assert torch.equal(RUNGS[rung](a, b), RUNGS[rung](a, b))


@pytest.mark.parametrize("rung", RUNGS)
def test_sizes_that_do_not_fit_are_refused(rung):
    with pytest.raises(ValueError, match="the inner sizes 3 and 4 differ"):
        RUNGS[rung](torch.ones(2, 3), torch.ones(4, 5))


@pytest.mark.parametrize("rung", RUNGS)
def test_two_dtypes_and_other_dtypes_are_refused(rung):
    """C would read one as the other."""
    single, double = torch.ones(2, 3), torch.ones(3, 4, dtype=torch.float64)
    for a, b in ((single, double), (double.T, single.T), (single.long(), single.T.long())):
        with pytest.raises(TypeError, match="float"):
            RUNGS[rung](a, b)


def test_threads_have_memory_of_their_own():
    """A call lets other threads run, so that they pack their blocks at the same time."""
    pairs = [(torch.full((60, 300), float(n)), torch.full((300, 70), 2.0)) for n in range(4)]

    def all_right(pair):
        wanted = pair[0] @ pair[1]
        return all(torch.equal(c_tiled(*pair), wanted) for _ in range(200))

    with ThreadPoolExecutor(len(pairs)) as threads:
        assert all(threads.map(all_right, pairs))
