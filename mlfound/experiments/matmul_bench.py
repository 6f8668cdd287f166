"""Climb the matmul ladder: hold each rung against float64, then time all of them side by side."""

import math
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Any

import torch
from torch import Generator, Tensor

from mlfound import hardware
from mlfound.config.models import MatmulBenchConfig
from mlfound.data.fetch import fetch
from mlfound.data.load import load
from mlfound.data.registry import find
from mlfound.errors import UserError
from mlfound.experiments.machine import measure_machine
from mlfound.experiments.matmul.compare import comparable_run, comparison
from mlfound.experiments.matmul.report import Climb, report
from mlfound.foundations.checks import matmul_error
from mlfound.foundations.matmul import MATMULS, Matmul, unavailable
from mlfound.foundations.randomness import generator
from mlfound.results import Context, Result
from mlfound.stats.timing import Candidate, measure, timer_of
from mlfound.training.inputs import dataset_facts

LONGEST = 60.0  # seconds: a rung whose single call would take longer is not run
LOOK = 0.05  # seconds: how long a shrunken product must take to say something about the whole

Shape = tuple[int, int, int]


def run(config: MatmulBenchConfig, context: Context) -> Result:
    """Every rung at every shape; with `compare`, beside what an earlier run found."""
    device, dtype = hardware.resolve_device(config.device), getattr(torch, config.dtype)
    refuse_unavailable(config, device, dtype)
    shapes = [parse(text, dtype.itemsize) for text in config.shape]
    threads = hardware.use_threads(config.threads, max(math.prod(shape) for shape in shapes))
    config = config.model_copy(update={"device": str(device), "threads": threads})
    earlier = comparable_run(config, context) if config.compare else None
    if earlier is not None:
        config = config.model_copy(update={"compare": str(earlier.path)})
    images, dataset = validation_images(config, context)
    draws = generator(config.seed, "operands")

    context.recorder.begin(config, seeds=[config.seed], dataset=dataset, device=str(device), threads=threads)
    machine = measure_machine(device, dtype, timer_of(device))
    climbs = list[Climb]()
    for shape in shapes:
        a, b = (x.to(device, dtype) for x in operands(shape, images, draws))
        climbs += climb_ladder(config, a, b, context)
    result = report(config, machine, climbs)
    if earlier is None:
        return result
    table, findings = comparison(earlier, climbs)
    return replace(result, tables=[*result.tables, table], findings=[*result.findings, *findings])


def climb_ladder(config: MatmulBenchConfig, a: Tensor, b: Tensor, context: Context) -> list[Climb]:
    """All rungs at one shape: those that can run and are right are timed together, in interleaved rounds."""
    shape = (*a.shape, b.shape[1])
    climbs: dict[str, Climb] = {name: look(name, a, b) for name in MATMULS if name in config.impl}
    right: dict[str, Candidate] = {
        name: partial(MATMULS[name], a, b) for name, climb in climbs.items() if climb.right
    }
    label = "x".join(map(str, shape))
    timings = measure(
        right, config.budget, timer=timer_of(a.device), on_progress=partial(context.recorder.progress, label)
    )
    return [replace(climb, timing=timings.get(name)) for name, climb in climbs.items()]


def look(impl: str, a: Tensor, b: Tensor) -> Climb:
    """Whether a rung can run here at all, in time and in memory, and whether its product is right."""
    climb = Climb(impl, (*a.shape, b.shape[1]))
    if reason := unavailable(impl, a.device, a.dtype):
        return replace(climb, skipped=reason)
    needed = workspace(impl, *climb.shape) * a.element_size()
    if needed > hardware.memory_bytes():
        return replace(climb, skipped=f"would hold {needed / 1e9:,.0f} GB at once")
    seconds = estimate(MATMULS[impl], a, b)
    if seconds > LONGEST:
        return replace(climb, skipped=f"one call would take about {seconds:,.0f} s (an estimate)")
    return replace(climb, error=matmul_error(MATMULS[impl](a, b), a, b))


def estimate(matmul: Matmul, a: Tensor, b: Tensor) -> float:
    """Seconds of one call: all three sizes are shrunk, then doubled until it takes LOOK, and grow on like that."""
    before = math.inf
    for halvings in range(a.numel().bit_length(), -1, -1):
        m, k, n = (max(1, size >> halvings) for size in (*a.shape, b.shape[1]))
        start = perf_counter()
        matmul(a[:m, :k], b[:k, :n]).sum().item()  # a GPU is done only when a number is here
        seconds = perf_counter() - start
        if seconds > LOOK:
            growth = min(8.0, max(1.0, seconds / before))  # 8: the multiplications of a doubling
            return seconds * growth**halvings
        before = seconds
    return seconds


def workspace(impl: str, m: int, k: int, n: int) -> int:
    """How many numbers a rung holds at once, besides its operands and its result."""
    return {"einsum-by-hand": m * k * n, "broadcast": k * n}.get(impl, k)


def parse(text: str, bytes_each: int) -> Shape:
    """5x784x10, or 5x784@784x10, as (m, k, n); refuses sizes that don't multiply or don't fit the memory."""
    numbers = [int(number) for number in text.replace("@", "x").split("x")]
    m, k, inner, n = numbers if len(numbers) == 4 else (*numbers[:2], *numbers[1:])
    if k != inner:
        message = f"({m},{k}) times ({inner},{n}) cannot be multiplied: {k} is not {inner}; write {m}x{k}x{n}"
        raise UserError(message, key="shape")
    numbers_held = 3 * (m * k + k * n + m * n)  # beside each of them a float64 copy to check it with
    hardware.require_memory(numbers_held * max(bytes_each, 8), "shape", f"a product {text}")
    return m, k, n


def refuse_unavailable(config: MatmulBenchConfig, device: torch.device, dtype: torch.dtype) -> None:
    """A rung that was asked for by name must be able to run; of the whole ladder those run that can."""
    if set(config.impl) != set(MATMULS):
        for name in config.impl:
            if reason := unavailable(name, device, dtype):
                raise UserError(f"{name} cannot run here: {reason}", key="impl")


def validation_images(config: MatmulBenchConfig, context: Context) -> tuple[Tensor, dict[str, Any]]:
    """float32 (rows, pixels) in [0, 1), as the lesson multiplies them; and what `run.json` says of the data."""
    dataset = find(config.dataset, key="dataset")
    fetch(dataset, context.data_dir, progress=context.recorder.progress)
    splits = load(dataset, context.data_dir)
    return splits.valid.x, dataset_facts(dataset, splits)


def operands(shape: Shape, images: Tensor, draws: Generator) -> tuple[Tensor, Tensor]:
    """The first images where they have k pixels, as in the lesson, else random rows; and random weights."""
    m, k, n = shape
    a = images[:m] if images.shape[1] == k and len(images) >= m else torch.randn(m, k, generator=draws)
    return a, torch.randn(k, n, generator=draws)
