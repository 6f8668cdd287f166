"""Every rung of the ladder against a float64 product, and a bound that says no to wrong products."""

import math
from itertools import pairwise

import pytest
import torch

from mlfound.foundations.checks import matmul_error, test_near
from mlfound.foundations.elementwise import frobenius_norm
from mlfound.foundations.matmul import MATMULS, unavailable
from mlfound.native import compiling

SHAPES = [(1, 1, 1), (5, 7, 3), (2, 31, 1), (1, 6, 4), (4, 1, 3), (3, 0, 2), (0, 3, 2), (3, 4, 0), (0, 0, 0)]
DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
CPU = torch.device("cpu")


def factors(m, k, n, dtype=torch.float32, seed=0):
    draws = torch.Generator().manual_seed(seed)
    return torch.randn(m, k, generator=draws).to(dtype), torch.randn(k, n, generator=draws).to(dtype)


def rung(name, dtype=torch.float32):
    reason = unavailable(name, CPU, dtype)
    return pytest.skip(reason) if reason else MATMULS[name]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", MATMULS)
def test_every_rung_is_within_the_bound(name, dtype):
    for shape in SHAPES:
        a, b = factors(*shape, dtype)
        c = rung(name, dtype)(a, b)
        assert c.dtype == dtype
        assert matmul_error(c, a, b) <= 1, shape


@pytest.mark.parametrize("name", MATMULS)
def test_every_rung_reads_transposed_and_stepped_factors(name):
    a, b = factors(6, 14, 10)
    for view_a, view_b in [(a, b), (b.T, a.T), (a[::2, 3:8], b[3:8, ::3]), (a[:1].expand(4, 14), b)]:
        assert matmul_error(rung(name)(view_a, view_b), view_a, view_b) <= 1


@pytest.mark.parametrize("name", MATMULS)
def test_every_rung_gives_a_new_tensor_and_leaves_its_factors_alone(name):
    a, b = factors(5, 7, 3)
    rung(name)(a, b).zero_()
    assert all(map(torch.equal, (a, b), factors(5, 7, 3)))


def test_neighbours_on_the_lessons_shape_are_near():
    a, b = factors(5, 784, 10)
    products = [matmul(a, b) for name, matmul in MATMULS.items() if not unavailable(name, CPU, a.dtype)]
    for above, below in pairwise(products):
        test_near(below, above)
    for product in products:  # the bound of every element makes one of the norms: Higham 2002, section 3.5
        error = frobenius_norm(product.double() - a.double() @ b.double())
        assert error <= 784 * 2**-24 * frobenius_norm(a) * frobenius_norm(b)


@pytest.mark.parametrize("name", MATMULS)
def test_factors_that_do_not_fit_are_refused(name):
    with pytest.raises((ValueError, RuntimeError)):
        rung(name)(torch.ones(2, 3), torch.ones(4, 5))


def test_an_einsum_stretches_an_inner_size_of_1_as_broadcasting_does():
    a, b = factors(2, 1, 1)[0], factors(4, 4, 5)[1]
    stretched = a.expand(2, 4) @ b
    for name, matmul in MATMULS.items():
        if name.startswith("einsum"):
            test_near(matmul(a, b), stretched)
        elif not unavailable(name, CPU, a.dtype):
            with pytest.raises((ValueError, RuntimeError)):
                matmul(a, b)


def test_the_ladder_in_teaching_order():
    assert list(MATMULS) == [
        "python", "loops", "dot", "broadcast", "einsum-by-hand", "einsum",
        "c-loops", "c-tiled", "matmul", "onednn",
    ]  # fmt: skip


def test_only_onednn_and_compiled_rungs_are_ever_unavailable(monkeypatch):
    gpu = torch.device("cuda")
    for name in MATMULS:
        if name not in ("onednn", "c-loops", "c-tiled"):
            assert unavailable(name, gpu, torch.float16) is None
    wanted = "float32 and float64 on a CPU only, not float16 on cpu"
    assert unavailable("c-tiled", CPU, torch.float16) == wanted
    monkeypatch.setattr(compiling, "unavailable", lambda: "there is no C compiler")
    assert unavailable("c-loops", CPU, torch.float32) == "there is no C compiler"
    assert unavailable("onednn", gpu, torch.float32) == "float32 on a CPU only, not float32 on cuda"
    assert unavailable("onednn", CPU, torch.float64) == "float32 on a CPU only, not float64 on cpu"
    monkeypatch.setattr(torch.ops, "mkldnn", object())
    assert unavailable("onednn", CPU, torch.float32) == "this torch has no mkldnn._linear_pointwise"


def tf32(x):
    """Rounded to the 10 bits after the point that a GPU's tensor cores keep."""
    return ((x.view(torch.int32) + 0x1000) & ~0x1FFF).view(torch.float32)


@pytest.mark.parametrize("shape", [(5, 7, 3), (5, 784, 10)], ids=str)
@pytest.mark.parametrize(
    "fault",
    [
        lambda a, b: a[:, 1:] @ b[1:],  # one term dropped
        lambda a, b: a[:, :-1] @ b[:-1],
        lambda a, b: b.T @ a.T,  # transposed
        lambda a, b: (b.T @ a.T).reshape(a.shape[0], b.shape[1]),
        lambda a, b: (a.half() @ b.half()).float(),
        lambda a, b: (a @ b).half().float(),
        lambda a, b: tf32(a) @ tf32(b),
        lambda a, b: (a @ b) * 1.001,
        lambda a, b: torch.zeros(a.shape[0], b.shape[1]),
        lambda a, b: (a @ b)[:, :1],
        lambda a, b: a @ b + math.nan,
    ],
)
def test_the_bound_says_no_to_a_wrong_product(fault, shape):
    a, b = factors(*shape)
    assert matmul_error(a @ b, a, b) <= 1
    assert matmul_error(fault(a, b), a, b) > 1


@pytest.mark.parametrize(("k", "roundings"), [(2, 2), (49, 49), (100, 70)])
def test_the_error_is_in_units_of_the_bound(k, roundings):
    a, b = torch.ones(1, k), torch.ones(k, 1)
    bound = roundings * (2**-24 + 2**-53) * k
    assert matmul_error(torch.full((1, 1), k + 0.25), a, b) == pytest.approx(0.25 / bound, rel=1e-12)


def test_the_error_where_all_products_are_zero():
    a, b = torch.zeros(2, 3), torch.ones(3, 2)
    assert matmul_error(torch.zeros(2, 2), a, b) == 0
    assert matmul_error(torch.tensor([[0.0, 0.0], [0.0, 1e-30]]), a, b) == math.inf
    assert matmul_error(torch.tensor([[math.nan]]), a[:1], b[:, :1]) == math.inf
    assert matmul_error(torch.zeros(2, 2), a * math.inf, b) == math.inf
    assert matmul_error(torch.zeros(1, 2), a, b) == math.inf


def test_the_bound_holds_where_the_classical_one_has_ended():
    """784 terms in bfloat16: k u is 3, and k u / (1 - k u) would be negative."""
    a, b = factors(3, 784, 2, torch.bfloat16)
    assert matmul_error(MATMULS["loops"](a, b), a, b) <= 1
    assert matmul_error(a @ b, a, b) <= 1
