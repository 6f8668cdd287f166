"""What this machine has: processor, device, libraries, compiler, engines; and of what is not here why."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from mlfound import hardware
from mlfound.engines import ladder
from mlfound.foundations import matmul
from mlfound.native import compiling
from mlfound.reference import libraries
from mlfound.results import Column, Result, Table


def machine(environment: Mapping[str, Any], data_dir: Path) -> Result:
    """A row each; `environment` is what `run.json` says of it."""
    columns = Column("what"), Column("here", rank=1)
    return Result(tables=[Table("machine", "This machine", columns, [*rows(environment, data_dir)])])


def rows(environment: Mapping[str, Any], data_dir: Path) -> Iterator[tuple[str, str]]:
    packages, device = environment["packages"], hardware.resolve_device("auto")
    yield "mlfound", f"{packages['mlfound']}, Python {environment['python']}, torch {torch.__version__}"
    instructions = torch.backends.cpu.get_cpu_capability()
    yield "processor", f"{environment['cpu']} ({environment['cpu_id']}), {instructions}"
    yield "cores", f"{hardware.cores()} for this process"
    memory = hardware.memory_bytes()
    yield "memory", f"{memory / 1e9:,.0f} GB" if math.isfinite(memory) else "unknown"
    yield "device", environment["gpu"] or str(device)
    product = matmul.fastest(hardware.cpu_kind(), device)
    yield "matrix product", f"{product}, torch's BLAS is {environment['blas']}"
    yield "C compiler", compiling.unavailable() or " ".join(compiling.find_compiler())
    auto = {ladder.fastest(device): "auto", "native": "auto for an MLP, where it trains for long enough"}
    for name in ladder.ENGINES:
        is_auto = f" ({auto[name]})" if name in auto else ""
        yield f"engine {name}", ladder.unavailable(name, device) or f"yes{is_auto}"
    for name in libraries.LIBRARIES:
        yield f"for comparison {name}", libraries.unavailable(name, device) or "yes"
    yield "data", str(data_dir)
    yield "compiled", str(compiling.folder())
