"""Steps of gradient descent in C: the layers, the optimiser and the memory of a network as training.c has them."""

import ctypes
import math
from collections.abc import Sequence
from ctypes import Structure, c_double, c_int64

import torch
from torch import Generator, Tensor

from mlfound.native.arguments import LINE_BYTES, POINTER, SIZE, SUFFIXES, aligned, function

LAYERS = ("linear", "relu", "floor", "tanh", "gelu", "dropout")
RULES = ("sgd", "rmsprop", "adam")
LOSSES = ("cross-entropy", "mse")
TILE_VALUES = 64  # at least so many columns of weights are copied at once


class Layer(Structure):
    """One of LAYERS. `w` and `b` are where a linear layer's parameters begin, of which `w` is (out, in)."""

    _fields_ = (
        *((name, c_int64) for name in ("kind", "fan_in", "fan_out", "w", "b", "is_limited")),
        *((name, c_double) for name in ("leak", "shift", "ceiling", "keep")),
    )


class Rule(Structure):
    """What of an optimiser does not change from step to step."""

    _fields_ = (
        ("kind", c_int64),
        *((name, c_double) for name in ("l2", "beta2", "clip_norm")),
        ("has_velocity", c_int64),
    )


class Network(Structure):
    """What a step does."""

    _fields_ = (
        *((name, c_int64) for name in ("layers", "batch_size", "loss")),
        ("max_norm", c_double),
        ("rule", Rule),
        ("layer", POINTER),
    )


class Work(Structure):
    """Where the memory of a step is."""

    _fields_ = (
        ("outputs", POINTER),
        ("gradients", POINTER * 2),
        *((name, POINTER) for name in ("scratch", "masks", "exponentials")),
    )


class Steps:
    """Steps on one network, in memory of its own: not for two threads at once."""

    def __init__(
        self,
        layers: Sequence[Layer],
        rule: Rule,
        loss: str,
        batch_size: int,
        max_norm: float,
        parameters: Tensor,
        states: Sequence[Tensor],
    ) -> None:
        """`parameters` and each of the optimiser's one or two `states` are flat, (numbers,), and are changed."""
        self.parameters, self.states = parameters, states
        dtype, line = parameters.dtype, LINE_BYTES // parameters.dtype.itemsize
        self.layers = (Layer * len(layers))(*layers)
        self.network = Network(
            len(layers), batch_size, LOSSES.index(loss), max_norm, rule, ctypes.addressof(self.layers)
        )
        sizes = [layers[0].fan_in, *(layer.fan_out for layer in layers)]
        rows = [-(-size // line) * line for size in sizes]  # each begins at a cache line
        widest, dropped = (
            max(rows),
            sum(layer.fan_in for layer in layers if layer.kind == LAYERS.index("dropout")),
        )
        self.memory = [aligned(batch_size * row, dtype) for row in (*rows, widest, widest)]
        self.gradient = aligned(len(parameters) if rule.clip_norm < math.inf else 0, dtype)
        scratch, masks = aligned(TILE_VALUES * widest, dtype), aligned(batch_size * dropped, dtype)
        exponentials = aligned(widest, torch.float64)
        *outputs, one, other = (each.data_ptr() for each in self.memory)
        self.outputs = (POINTER * len(outputs))(*outputs)
        self.rest = scratch, masks, exponentials
        self.work = Work(
            ctypes.addressof(self.outputs),
            (POINTER * 2)(one, other),
            scratch.data_ptr(),
            masks.data_ptr(),
            exponentials.data_ptr(),
        )
        self.call = function(
            f"train_{SUFFIXES[dtype]}", *[POINTER] * 5, SIZE, *[POINTER] * 3, SIZE, *[POINTER] * 4
        )

    def __call__(
        self, x: Tensor, y: Tensor, order: Tensor, coefficients: Tensor, generator: Generator
    ) -> Tensor:
        """A step for each row of `coefficients`, float64, on the next rows in this `order`; their losses (steps,)."""
        state, losses = generator.get_state(), x.new_empty(len(coefficients))
        self.call(
            ctypes.addressof(self.network),
            self.parameters.data_ptr(),
            self.states[0].data_ptr(),
            self.states[-1].data_ptr(),
            self.gradient.data_ptr(),
            len(self.parameters),
            x.data_ptr(),
            y.data_ptr(),
            order.data_ptr(),
            len(order),
            coefficients.data_ptr(),
            state.data_ptr(),
            ctypes.addressof(self.work),
            losses.data_ptr(),
        )
        generator.set_state(state)
        return losses
