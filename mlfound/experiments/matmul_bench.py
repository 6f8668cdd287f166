"""Climb the matmul ladder: hold each rung against float64, then time all of them side by side."""

import math

import torch
from torch import Generator, Tensor

from mlfound import hardware
from mlfound.config.benches import MatmulBenchConfig
from mlfound.errors import UserError
from mlfound.experiments.benches import load_splits
from mlfound.experiments.matmul import ladder
from mlfound.experiments.matmul.compare import comparable_run, comparison
from mlfound.experiments.matmul.roofline import measure_machine
from mlfound.foundations.matmul import MATMULS, unavailable
from mlfound.foundations.randomness import generator
from mlfound.results import Context, Result

Shape = tuple[int, int, int]  # m, k, n


def run(config: MatmulBenchConfig, context: Context) -> Result:
    """Every rung at every shape; with `compare`, beside what an earlier run measured."""
    device, dtype = hardware.resolve_device(config.device), getattr(torch, config.dtype)
    if set(config.impl) != set(MATMULS):  # of the whole ladder those run that can
        for name in config.impl:
            if reason := unavailable(name, device, dtype):
                raise UserError(f"{name} cannot run here: {reason}", key="impl")
    shapes = [parse(text, dtype.itemsize) for text in config.shape]
    threads = hardware.use_threads(config.threads, max(math.prod(shape) for shape in shapes))
    config = config.model_copy(update={"device": str(device), "threads": threads})
    earlier = comparable_run(config, context) if config.compare else None
    if earlier is not None:
        config = config.model_copy(update={"compare": str(earlier.path)})
    splits, dataset = load_splits(config, context)
    random = generator(config.seed, "operands")

    context.recorder.begin(config, seeds=[config.seed], dataset=dataset, device=str(device), threads=threads)
    machine = measure_machine(device, dtype, threads)
    measurements = []
    for shape in shapes:
        a, b = (x.to(device, dtype) for x in operands(shape, splits.valid.x, random))
        measurements += ladder.measure_ladder(config, machine, a, b, context)
    result = ladder.report(config, machine, measurements)
    if earlier is not None:
        result += comparison(earlier, measurements)
    return result.ranked("peak_gflop_per_s", "gbyte_per_s", "matmul_*", "loops_*")


def parse(text: str, bytes_each: int) -> Shape:
    """5x784x10, or 5x784@784x10, as (m, k, n); refuses sizes that don't multiply or don't fit the memory."""
    sizes = [int(size) for size in text.replace("@", "x").split("x")]
    m, k, inner, n = sizes if len(sizes) == 4 else (*sizes[:2], *sizes[1:])
    if k != inner:
        message = f"({m},{k}) times ({inner},{n}) cannot be multiplied: {k} is not {inner}; write {m}x{k}x{n}"
        raise UserError(message, key="shape")
    held = 3 * (m * k + k * n + m * n)  # beside each number a float64 copy to check it with
    hardware.require_memory(held * max(bytes_each, 8), "shape", f"a product {text}")
    return m, k, n


def operands(shape: Shape, images: Tensor, random: Generator) -> tuple[Tensor, Tensor]:
    """The first images where they have k pixels, as in the lesson, else random rows; and random weights."""
    m, k, n = shape
    lesson = images.shape[1] == k and len(images) >= m
    a = images[:m] if lesson else torch.randn(m, k, generator=random)
    return a, torch.randn(k, n, generator=random)
