"""Every rung of the ladder beside torch's, on odd shapes; the windows are a view; the lesson's sqrt(5) stack."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from mlfound.foundations import convolution as C  # noqa: N812
from mlfound.foundations.activations import ReLU
from mlfound.foundations.checks import relative_error
from mlfound.foundations.convolution import CONVOLUTIONS, output_size, windows
from mlfound.foundations.functions import conv2d
from mlfound.foundations.initialization import INITIALIZATIONS
from mlfound.foundations.randomness import generator
from tests.support.slips import slip, worst
from tests.support.stacks import elsewhere

pytestmark = pytest.mark.usefixtures("one_thread")


MAX_LOOPS = 1000  # multiplications of the rung that makes each by itself, in a few microseconds


class Case:
    """Odd shapes, a random gradient, and torch's answers."""

    def __init__(self, sizes, image, kernel, stride=1, padding=0, seed=0, strided=True):
        (batch, channels, out), draws = sizes, generator(seed, "test")
        x, w = (
            torch.randn(*shape, dtype=torch.float64, generator=draws, requires_grad=True)
            for shape in ((batch, channels, *image), (out, channels, *kernel))
        )
        self.want = functional.conv2d(x, w, None, stride, padding)
        self.dout = torch.randn(self.want.shape, dtype=torch.float64, generator=draws)
        self.want.backward(self.dout)
        self.dx, self.dw, self.x, self.w = x.grad, w.grad, x.detach(), w.detach()
        if strided:
            self.x, self.w, self.dout = (elsewhere(each) for each in (self.x, self.w, self.dout))
        self.image, self.kernel, self.options = image, kernel, (stride, padding)
        self.loops = self.want.numel() * self.w[0].numel()

    def errors(self, rung):
        """Of the forward pass and of both gradients."""
        return [
            relative_error(rung.forward(self.x, self.w, *self.options), self.want),
            relative_error(rung.weight_grad(self.dout, self.x, self.kernel, *self.options), self.dw),
            relative_error(rung.input_grad(self.dout, self.w, self.image, *self.options), self.dx),
        ]


@settings(max_examples=200, deadline=None)
@given(
    sizes=st.tuples(*[st.integers(1, 3)] * 3),
    image=st.tuples(*[st.integers(1, 8)] * 2),
    kernel=st.tuples(*[st.integers(1, 4)] * 2),
    stride=st.integers(1, 3),
    padding=st.integers(0, 4),
    seed=st.integers(0, 2**31),
    strided=st.booleans(),
)
def test_every_rung_is_torchs_with_its_gradients(sizes, image, kernel, stride, padding, seed, strided):
    if any(n + 2 * padding < k for n, k in zip(image, kernel, strict=True)):
        with pytest.raises(ValueError, match=r"a window of \d x \d is larger than \d+ x \d+"):
            output_size(image, kernel, stride, padding)
        return
    case = Case(sizes, image, kernel, stride, padding, seed, strided)
    assert output_size(image, kernel, stride, padding) == case.want.shape[2:]
    for name, rung in CONVOLUTIONS.items():
        if name != "loops" or case.loops <= MAX_LOOPS:
            assert max(case.errors(rung)) <= 1e-12, name


CASES = (  # batch, channels and kernels; image, kernel, stride, padding
    ((2, 3, 2), (4, 3), (2, 3), 1, 1),
    ((1, 1, 2), (5, 4), (3, 2), 2, 2),
    ((2, 2, 2), (4, 4), (2, 2), 3, 0),
)
# of the functions that belong to one rung alone, and of those that several share
FAULTS = {
    "loops": {
        "kernel turned around": (C.loops, "w[o, c, i, j]", "w[o, c, -1 - i, -1 - j]"),
        "stride ignored": (C.loops, "stride * down + i", "down + i"),
        "the last product only": (C.loops, "+=", "="),
        "dw of the first image": (C.loops_weight_grad, "dout[n, o", "dout[0, o"),
        "dw on its side": (C.loops_weight_grad, "stride * across + j]", "stride * across + i]"),
        "stride ignored in dx": (C.loops_input_grad, "dx[n, c, stride * down", "dx[n, c, down"),
        "border left in dx": (C.loops_input_grad, "inner(dx, padding)", "inner(dx, 0)"),
    },
    "positions": {
        "kernel turned around": (C.positions, "@ w.", "@ w.flip(2, 3)."),
        "padding ignored": (C.positions, "stride, padding)\n    for", "stride, 0)\n    for"),
        "dw of the last place": (C.positions_weight_grad, "dw += (", "dw = ("),
        "stride ignored in dw": (C.positions_weight_grad, "windows(x, size, stride", "windows(x, size, 1"),
        "dx is not added": (C.positions_input_grad, "window += (", "window[:] = ("),
        "stride ignored in dx": (C.positions_input_grad, "w.shape[2:], stride)", "w.shape[2:], 1)"),
    },
    "unfold": {
        "kernel turned around": (C.unfold, "w.flatten(1)", "w.flip(2, 3).flatten(1)"),
        "images before places": (
            C.unfold, "view(out, down, across, batch).permute(3, 0, 1, 2)", "view(out, batch, down, across).mT"
        ),
        "dw turned around": (C.unfold_weight_grad, "dw.view(", "dw.flip(1).view("),
        "dout by another order": (C.unfold_weight_grad, "images_last(dout)", "dout.transpose(0, 1)"),
        "window on its side": (C.unfold_input_grad, "5, 0, 3, 4, 1, 2", "5, 0, 3, 4, 2, 1"),
        "padding ignored in dx": (C.unfold_input_grad, "size, stride, padding", "size, stride, 0"),
        "columns by rows": (C.unfolded, "permute(1, 4, 5, 2, 3, 0)", "permute(1, 5, 4, 2, 3, 0)"),
        "images not last": (C.images_last, "1, 2, 3, 0", "1, 3, 2, 0"),
    },
    "einsum": {
        "kernel on its side": (C.einsum, "ocij", "ocji"),
        "stride ignored": (C.einsum, "stride, padding)", "1, padding)"),
        "dw on its side": (C.einsum_weight_grad, "->ocij", "->ocji"),
        "of places the diagonal": (C.einsum_weight_grad, "noyx,ncyxij", "noyy,ncyyij"),
        "dx on its side": (C.einsum_input_grad, "->ncyxij", "->ncyxji"),
        "stride ignored in dx": (C.einsum_input_grad, "stride, padding)", "1, padding)"),
    },
    "library": {
        "kernel turned around": (C.library, "x, w,", "x, w.flip(2, 3),"),
        "padding ignored": (C.library, "None, stride, padding", "None, stride, 0"),
        "dw of a kernel on its side": (C.library_weight_grad, "*size)", "*size[::-1])"),
        "stride ignored in dw": (C.library_weight_grad, "w, stride", "w, 1"),
        "dx by the kernel turned around": (C.library_input_grad, "dout, x, w,", "dout, x, w.flip(2, 3),"),
        "stride one less": (C.gradients, "[stride] * 2", "[max(1, stride - 1)] * 2"),
        "cut on one side": (C.gradients, "[padding] * 2", "[padding, 0]"),
    },
    "several": {
        "ceil": (C.output_size, "padding - k) // stride", "padding - k + stride - 1) // stride"),
        "border on one side": (C.output_size, "n + 2 * padding - k", "n + padding - k"),
        "border of ones": (C.zeros, "new_zeros", "new_ones"),
        "cut on one side": (C.inner, "padding : x.shape[-2] - padding, padding", "2 * padding :, padding"),
        "stride of columns for rows": (C.windows, "stride * row, stride", "stride * column, stride"),
        "beginning forgotten": (C.windows, "x.storage_offset()", "0"),
        "the last, not the sum": (C.windows_grad, "+=", "="),
        "rows for columns": (C.windows_grad, "[..., i, j]", "[..., j, i]"),
    },
}  # fmt: skip


def rung_errors():
    """The largest error of each rung in any case."""
    return {
        name: worst(lambda rung=rung: [error for case in KNOWN for error in case.errors(rung)])
        for name, rung in CONVOLUTIONS.items()
    }


KNOWN = [Case(*case) for case in CASES]


def test_nothing_is_found_where_nothing_is_wrong():
    assert max(rung_errors().values()) <= 1e-12


@pytest.mark.slow  # a test of the tests
@pytest.mark.parametrize(("of", "fault"), [(of, fault) for of, faults in FAULTS.items() for fault in faults])
def test_every_fault_is_caught_and_blamed_on_its_rung(of, fault, monkeypatch):
    slip(monkeypatch, *FAULTS[of][fault])
    wrong = {name for name, error in rung_errors().items() if error > 1e-3}
    assert wrong == {of} if of != "several" else len(wrong - {"library"}) > 1


def test_windows_are_a_view_of_one_padded_picture():
    seen = windows(torch.arange(16.0).reshape(1, 1, 4, 4), (3, 3), padding=1)
    assert seen.shape == (1, 1, 4, 4, 3, 3)
    assert seen.untyped_storage().nbytes() == 4 * 6 * 6
    assert seen[0, 0, 0, 0].tolist() == [[0, 0, 0], [0, 0, 1], [0, 4, 5]]
    assert seen[0, 0, 2, 1].tolist() == [[4, 5, 6], [8, 9, 10], [12, 13, 14]]


@pytest.mark.parametrize(
    ("name", "low", "high"), [("torch-default", 0.0056, 0.0144), ("kaiming-uniform", 0.175, 0.63)]
)
def test_four_layers_shrink_by_default_and_live_without_the_root_of_five(name, low, high):
    """The notebook's stack on noise: the range of 30 single draws that the lesson's pictures gave."""
    shapes = [(8, 1, 5, 5), (16, 8, 3, 3), (32, 16, 3, 3), (1, 32, 3, 3)]
    draws = generator(0, "test")
    stds = []
    for _ in range(9):
        x = torch.randn(50, 1, 28, 28, generator=draws)
        for layer, shape in enumerate(shapes):
            x = ReLU()(x) if layer else x
            x = conv2d(x, INITIALIZATIONS[name](shape, draws), torch.zeros(shape[0]), 2, shape[2] // 2)
        stds.append(x.mean((2, 3)).std().item())
    assert low < sorted(stds)[4] < high  # the median
