"""What a layer costs: numbers to hold, and multiplications."""

import math
from typing import NamedTuple

from mlfound.foundations.layers import Layer, Shape, leaf_inputs


class Costs(NamedTuple):
    """Of one row, forward: numbers that come out of layers, numbers that products read, multiplications."""

    outputs: int
    inputs: int  # of a convolution its unfolded windows
    multiplications: int

    @property
    def places(self) -> int:
        """How often the same weights are used: by a convolution at each pixel that comes out, else once."""
        return self.outputs * self.inputs // self.multiplications if self.multiplications else 1


def costs(layer: Layer, shape: Shape) -> list[Costs]:
    """Of each layer that is no container, for an input of this `shape`, (batch, ...)."""
    return [of_leaf(leaf, own) for leaf, own in leaf_inputs(layer, shape)]


def of_leaf(layer: Layer, shape: Shape) -> Costs:
    out = layer.output_shape(shape)
    weights = sum(math.prod(p.shape) for p in layer.parameters.values() if p.start is None)
    multiplications = weights * math.prod(out[2:])  # of a convolution at each place
    return Costs(math.prod(out[1:]), multiplications // out[1], multiplications)
