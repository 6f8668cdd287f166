"""A layer by its sizes, and tensors of these sizes to try the rungs on."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Generator, Tensor

from mlfound.config.benches import LAYER
from mlfound.errors import UserError
from mlfound.foundations.convolution import Convolution, images_last, output_size, unfolded
from mlfound.reference.torch_functional import convolution

PASSES = ("forward", "dw", "dx")
# Of operands and of windows, in float64 while a layer is checked: measured, and a little more
CHECK_COPIES = 7, 1


@dataclass(frozen=True)
class ConvLayer:
    """One convolution: `name` is what the config calls it."""

    name: str  # 1x28x28-8x5x5s2p2
    image: tuple[int, int, int]  # channels, rows, columns
    kernels: int
    size: tuple[int, int]  # rows and columns of a kernel
    stride: int
    padding: int

    @property
    def terms(self) -> int:
        """Products in one number of the output: those of a window."""
        return self.image[0] * math.prod(self.size)

    @property
    def output(self) -> tuple[int, int]:
        """Windows down and across; a ValueError where not even one fits."""
        return output_size(self.image[1:], self.size, self.stride, self.padding)

    @property
    def bordered(self) -> int:
        """Numbers in an image with its padding."""
        channels, *size = self.image
        return channels * math.prod(n + 2 * self.padding for n in size)

    @property
    def multiplications(self) -> int:
        """Of one image in one pass, those with the padding's zeros included."""
        return self.kernels * self.terms * math.prod(self.output)


def parse(name: str) -> ConvLayer:
    """`1x28x28-8x5x5s2p2`, where stride 1 and padding 0 need not be written; refuses a kernel that does not fit."""
    found = re.fullmatch(LAYER, name)
    assert found, "the config has seen to it"
    channels, height, width, kernels, *size = (int(found[n]) for n in range(1, 7))
    image, stride, padding = (channels, height, width), int(found[7] or 1), int(found[8] or 0)
    layer = ConvLayer(name, image, kernels, (size[0], size[1]), stride, padding)
    try:
        _ = layer.output
    except ValueError as error:
        needed = max(math.ceil((k - n) / 2) for k, n in zip(layer.size, image[1:], strict=True))
        message = f"{name}: {error}; write smaller kernels, or {name.partition('p')[0]}p{needed}"
        raise UserError(message, key="shape") from error
    return layer


@dataclass(frozen=True)
class Case:
    """Images (batch, in, rows, columns) and kernels of a layer, and the gradient of what comes out."""

    layer: ConvLayer
    x: Tensor
    w: Tensor
    dout: Tensor

    def calls(self, rung: Convolution) -> dict[str, Callable[[], Tensor]]:
        """A rung's three passes, by their names in PASSES."""
        layer, options = self.layer, (self.layer.stride, self.layer.padding)
        return {
            "forward": partial(rung.forward, self.x, self.w, *options),
            "dw": partial(rung.weight_grad, self.dout, self.x, layer.size, *options),
            "dx": partial(rung.input_grad, self.dout, self.w, layer.image[1:], *options),
        }

    def products(self) -> dict[str, tuple[Tensor, Tensor]]:
        """The two matrices that the rung `unfold` multiplies in each pass."""
        layer = self.layer
        columns = unfolded(self.x, layer.size, layer.stride, layer.padding)
        w, dout = self.w.flatten(1), images_last(self.dout).flatten(1)
        return {"forward": (w, columns), "dw": (dout, columns.T), "dx": (w.T, dout)}

    def first(self, images: int, kernels: int) -> "Case":
        """The same with so many images and kernels."""
        return Case(self.layer, self.x[:images], self.w[:kernels], self.dout[:images, :kernels])

    def each(self, function: Callable[[Tensor], Tensor]) -> "Case":
        """The same with `function` of each tensor."""
        return Case(self.layer, *map(function, (self.x, self.w, self.dout)))

    def double(self) -> "Case":
        """The same numbers in float64, on the CPU: not every device has it."""
        return self.each(lambda tensor: tensor.cpu().double())

    def reference(self) -> dict[str, Tensor]:
        """All three passes by torch alone."""
        found = convolution(self.x, self.w, self.dout, self.layer.stride, self.layer.padding)
        return dict(zip(PASSES, found, strict=True))


def draw(layer: ConvLayer, rows: int, images: Tensor | None, random: Generator) -> Case:
    """The first of the `images` (batch, pixels), or random numbers instead; random kernels and gradients."""
    x = torch.randn(rows, *layer.image, generator=random) if images is None else images[:rows]
    w = torch.randn(layer.kernels, layer.image[0], *layer.size, generator=random)
    dout = torch.randn(rows, layer.kernels, *layer.output, generator=random)
    return Case(layer, x.view(rows, *layer.image), w, dout)


def bytes_needed(layers: Sequence[ConvLayer], rows: int, bytes_each: int) -> float:
    """What a run holds at its peak: operands, padded images, their windows; and of one layer the same in float64."""
    operands = [rows * (math.prod(each.image) + each.kernels * math.prod(each.output)) for each in layers]
    columns = [rows * (each.terms * math.prod(each.output) + each.bordered) for each in layers]
    checked = max(CHECK_COPIES[0] * a + CHECK_COPIES[1] * b for a, b in zip(operands, columns, strict=True))
    return (sum(operands) + sum(columns)) * bytes_each + 8 * checked
