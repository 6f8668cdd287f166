"""Climb the convolution ladder: hold each rung against autograd, then time all of them side by side."""

import torch

from mlfound import hardware
from mlfound.config.benches import ConvBenchConfig
from mlfound.data.load import Splits
from mlfound.errors import UserError
from mlfound.experiments.benches import load_splits
from mlfound.experiments.convolution.ladder import measure_ladder
from mlfound.experiments.convolution.layers import ConvLayer, bytes_needed, draw, parse
from mlfound.experiments.convolution.report import report
from mlfound.foundations.randomness import generator
from mlfound.results import Context, Result


def run(config: ConvBenchConfig, context: Context) -> Result:
    """Every pass of every rung through every layer."""
    device, dtype = hardware.resolve_device(config.device), getattr(torch, config.dtype)
    layers = [parse(name) for name in dict.fromkeys(config.shape)]
    for where in (hardware.CPU, device):  # the check in float64 is on the CPU
        require_memory(layers, config.rows, dtype.itemsize, where)
    largest = config.rows * max(layer.multiplications for layer in layers)
    threads = hardware.use_threads(config.threads, largest)
    config = config.model_copy(update={"device": str(device), "threads": threads})
    splits, dataset = load_splits(config, context)
    random = generator(config.seed, "operands")
    drawn = [draw(layer, config.rows, images(layer, config, splits), random) for layer in layers]

    context.recorder.begin(config, seeds=[config.seed], dataset=dataset, device=str(device), threads=threads)
    cases = [case.each(lambda tensor: tensor.to(device, dtype)) for case in drawn]
    with torch.backends.cudnn.flags(
        enabled=True, allow_tf32=False
    ):  # else only the library's would have fewer bits
        measured, products = measure_ladder(config, cases, context)
    return report(config, measured, products)


def require_memory(layers: list[ConvLayer], rows: int, bytes_each: int, device: torch.device) -> None:
    """Refuse what does not fit: so many images, or the layers where even one is too much."""
    fits = bytes_needed(layers, 1, bytes_each) <= hardware.memory_bytes(device)
    what = f"{rows:,} image{'s' * (rows != 1)} through {', '.join(layer.name for layer in layers)}"
    hardware.require_memory(bytes_needed(layers, rows, bytes_each), "rows" if fits else "shape", what, device)


def images(layer: ConvLayer, config: ConvBenchConfig, splits: Splits) -> torch.Tensor | None:
    """The validation images for a layer of their size, as in the lesson; None for another."""
    there = len(splits.valid.x)
    if layer.image != (1, *splits.shape):
        return None
    if config.rows > there:
        message = f"{config.rows:,} is more than the {there:,} validation images of {config.dataset}"
        raise UserError(f"{message}; write {there} or less", key="rows")
    return splits.valid.x
