"""Steps of gradient descent in C: the layers, the optimiser and the memory of a network as training.c has them."""

import ctypes
import math
from collections.abc import Sequence
from ctypes import Structure, c_double, c_int64
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from mlfound.native.arguments import LINE_BYTES, POINTER, SIZE, SUFFIXES, aligned, function

LAYERS = ("linear", "relu", "floor", "tanh", "gelu", "dropout")
RULES = ("sgd", "rmsprop", "adam")
LOSSES = ("cross-entropy", "mse")
MAX_COLUMNS = 64  # of weights that are copied at once
NUMBERS_OF_THREAD = 64  # of the widest layer: more threads would have less to do than to wait for


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
        *((name, c_int64) for name in ("layers", "batch_size", "loss", "threads")),
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
        ("scratch_size", c_int64),
    )


class Training(Structure):
    """What `train` is given."""

    _fields_ = (
        *((name, POINTER) for name in ("network", "parameters", "first_state", "second_state", "gradient")),
        ("parameter_count", SIZE),
        *((name, POINTER) for name in ("images", "labels", "order")),
        ("rows", SIZE),
        *((name, POINTER) for name in ("coefficients", "generator", "work", "losses")),
    )


@dataclass(frozen=True)
class Description:
    """What steps do, whatever the network's numbers. `loss` is one of LOSSES; `threads` take each step together."""

    layers: Sequence[Layer]
    rule: Rule
    loss: str
    batch_size: int
    max_norm: float
    threads: int


class Steps:
    """Steps on one network, in memory of its own: not to be called by two threads at once."""

    def __init__(self, description: Description, parameters: Tensor, states: Sequence[Tensor]) -> None:
        """`parameters` and each of the optimiser's one or two `states` are flat, (numbers,), and are changed."""
        self.parameters, self.states, dtype = parameters, states, parameters.dtype
        layers, rule = description.layers, description.rule
        self.layers, loss = (Layer * len(layers))(*layers), LOSSES.index(description.loss)
        widest = max(max(layer.fan_in, layer.fan_out) for layer in layers)
        self.threads = min(description.threads, -(-widest // NUMBERS_OF_THREAD))
        numbers = len(layers), description.batch_size, loss, self.threads, description.max_norm
        self.network = Network(*numbers, rule, ctypes.addressof(self.layers))
        self.gradient = aligned(len(parameters) if rule.clip_norm < math.inf else 0, dtype)
        self.work = self.allocated(description, dtype)
        self.call = function(f"train_{SUFFIXES[dtype]}", POINTER)

    def allocated(self, description: Description, dtype: torch.dtype) -> Work:
        """Memory for a step, kept in `memory` and `outputs`."""
        layers, batch_size, line = description.layers, description.batch_size, LINE_BYTES // dtype.itemsize
        sizes = [layers[0].fan_in, *(layer.fan_out for layer in layers)]
        rows = [-(-size // line) * line for size in sizes]  # each begins at a cache line
        widest = max(rows)
        dropped = sum(layer.fan_in for layer in layers if layer.kind == LAYERS.index("dropout"))
        counts = [
            *(batch_size * row for row in (*rows, widest, widest)),
            self.threads * MAX_COLUMNS * widest,
            batch_size * dropped,
        ]
        self.memory = [*(aligned(count, dtype) for count in counts), aligned(widest, torch.float64)]
        *outputs, one, other, scratch, masks, exponentials = (each.data_ptr() for each in self.memory)
        self.outputs = (POINTER * len(outputs))(*outputs)
        gradients = (POINTER * 2)(one, other)
        return Work(
            ctypes.addressof(self.outputs), gradients, scratch, masks, exponentials, MAX_COLUMNS * widest
        )

    def __call__(
        self, x: Tensor, y: Tensor, order: Tensor, coefficients: Tensor, generator: Generator
    ) -> Tensor:
        """A step for each row of `coefficients`, float64, on the next rows in this `order`; their losses (steps,)."""
        state, losses = generator.get_state(), x.new_empty(len(coefficients))
        training = Training(
            network=ctypes.addressof(self.network),
            parameters=self.parameters.data_ptr(),
            first_state=self.states[0].data_ptr(),
            second_state=self.states[-1].data_ptr(),
            gradient=self.gradient.data_ptr(),
            parameter_count=len(self.parameters),
            images=x.data_ptr(),
            labels=y.data_ptr(),
            order=order.data_ptr(),
            rows=len(order),
            coefficients=coefficients.data_ptr(),
            generator=state.data_ptr(),
            work=ctypes.addressof(self.work),
            losses=losses.data_ptr(),
        )
        self.call(ctypes.addressof(training))
        generator.set_state(state)
        return losses
