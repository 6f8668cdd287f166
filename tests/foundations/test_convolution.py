"""Every rung of the ladder beside torch's, on odd shapes; the windows are a view; the lesson's sqrt(5) stack."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from mlfound.foundations.activations import ReLU
from mlfound.foundations.checks import relative_error
from mlfound.foundations.convolution import CONVOLUTIONS, output_size, windows
from mlfound.foundations.functions import conv2d
from mlfound.foundations.initialization import INITIALIZATIONS
from mlfound.foundations.randomness import generator

pytestmark = pytest.mark.usefixtures("one_thread")


@settings(max_examples=200, deadline=None)
@given(
    sizes=st.tuples(*[st.integers(1, 3)] * 3),
    image=st.tuples(*[st.integers(1, 8)] * 2),
    kernel=st.tuples(*[st.integers(1, 4)] * 2),
    stride=st.integers(1, 3),
    padding=st.integers(0, 4),
    seed=st.integers(0, 2**31),
)
def test_every_rung_is_torchs_with_its_gradients(sizes, image, kernel, stride, padding, seed):
    batch, channels, out = sizes
    draws = generator(seed, "test")
    x = torch.randn(batch, channels, *image, dtype=torch.float64, generator=draws, requires_grad=True)
    w = torch.randn(out, channels, *kernel, dtype=torch.float64, generator=draws, requires_grad=True)
    if any(n + 2 * padding < k for n, k in zip(image, kernel, strict=True)):
        with pytest.raises(ValueError, match=r"a window of \d x \d is larger than \d+ x \d+"):
            output_size(image, kernel, stride, padding)
        return
    want = functional.conv2d(x, w, None, stride, padding)
    dout = torch.randn(want.shape, dtype=torch.float64, generator=draws)
    want.backward(dout)
    x_, w_, options = x.detach(), w.detach(), (stride, padding)
    assert output_size(image, kernel, *options) == want.shape[2:]
    for name, rung in CONVOLUTIONS.items():
        assert relative_error(rung.forward(x_, w_, *options), want) <= 1e-12, name
        assert relative_error(rung.weight_grad(dout, x_, kernel, *options), w.grad) <= 1e-12, name
        assert relative_error(rung.input_grad(dout, w_, image, *options), x.grad) <= 1e-12, name


@pytest.mark.parametrize("rung", CONVOLUTIONS)
def test_a_transposed_image_is_read_the_right_way_round(rung):
    x = torch.randn(2, 7, 5, 3, dtype=torch.float64, generator=generator(0, "test")).permute(0, 3, 2, 1)
    w = torch.randn(4, 3, 3, 2, dtype=torch.float64, generator=generator(1, "test"))
    out = CONVOLUTIONS[rung].forward(x, w, stride=2)
    assert relative_error(out, functional.conv2d(x, w, stride=2)) <= 1e-12


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
