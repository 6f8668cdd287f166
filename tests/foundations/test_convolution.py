"""The convolution by hand beside torch's, on odd shapes; the windows are a view; the lesson's sqrt(5) stack."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from mlfound.foundations.activations import ReLU
from mlfound.foundations.checks import relative_error
from mlfound.foundations.convolution import convolution, windows
from mlfound.foundations.initialization import INITIALIZATIONS
from mlfound.foundations.randomness import generator


@settings(max_examples=100, deadline=None)
@given(
    sizes=st.tuples(*[st.integers(1, 4)] * 3),
    picture=st.tuples(*[st.integers(1, 11)] * 2),
    kernel=st.tuples(*[st.integers(1, 5)] * 2),
    stride=st.integers(1, 3),
    padding=st.integers(0, 3),
    seed=st.integers(0, 2**31),
)
def test_convolution_is_torchs(sizes, picture, kernel, stride, padding, seed):
    batch, channels, out = sizes
    draws = generator(seed, "test")
    x = torch.randn(batch, channels, *picture, dtype=torch.float64, generator=draws)
    w = torch.randn(out, channels, *kernel, dtype=torch.float64, generator=draws)
    b = torch.randn(out, dtype=torch.float64, generator=draws)
    if any(n + 2 * padding < k for n, k in zip(picture, kernel, strict=True)):
        with pytest.raises(ValueError, match=r"a window of \d x \d is larger than \d+ x \d+"):
            convolution(x, w, b, stride, padding)
        return
    for bias in (b, None):
        want = functional.conv2d(x, w, bias, stride, padding)
        assert relative_error(convolution(x, w, bias, stride, padding), want) <= 1e-12


def test_a_transposed_picture_is_read_the_right_way_round():
    x = torch.randn(2, 7, 5, 3, dtype=torch.float64, generator=generator(0, "test")).permute(0, 3, 2, 1)
    w = torch.randn(4, 3, 3, 2, dtype=torch.float64, generator=generator(1, "test"))
    assert relative_error(convolution(x, w, stride=2), functional.conv2d(x, w, stride=2)) <= 1e-12


def test_windows_are_a_view_of_one_padded_picture():
    seen = windows(torch.arange(16.0).reshape(1, 1, 4, 4), 3, 3, padding=1)
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
            x = convolution(
                x if layer == 0 else ReLU()(x), INITIALIZATIONS[name](shape, draws), None, 2, shape[2] // 2
            )
        stds.append(x.mean((2, 3)).std().item())
    assert low < sorted(stds)[4] < high  # the median
