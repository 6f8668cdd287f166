"""The same config twice: the second time from the first run's folder, both in fresh processes, to the same bits."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from tests.faults.report import Report

# Drawn for each case. One epoch on a part of the embedded sample: bits that differ do so from the first step.
SETTINGS: Mapping[str, Sequence[Any]] = {
    "data.normalize": ("global", "pixel", "none"),
    "data.train_rows": (500, 501, 1_000, 3_001),
    "model.hidden": ("[50]", "[]", "[300, 20]", "[17, 17, 17]", "[800]"),
    "model.init": ("kaiming", "xavier", "torch-default", "orthogonal"),
    "model.relu_shift": (0, 0.5),
    "model.dropout": (0, 0.5),
    "model.input_dropout": (0, 0.2),
    "loss": ("cross-entropy", "mse"),
    "optimizer.lr": (0.003, 0.001),  # small enough for mse
    "optimizer.momentum": (0.9, 0.5),
    "optimizer.nesterov": ("true", "false"),
    "engine": ("auto", "modules", "buffers", "native"),
    "replicates": (1, 1, 3),
    "schedule": ("one-cycle", "cosine", "constant"),
    "batch_size": (64, 33, 500),
    "seed": (0, 1, 2**40),
    "threads": ("auto", 1, 2),
}
TIMES = ("train_seconds", "eval_seconds", "images_per_s")


def trial(count: int, seed: int, folder: Path) -> Report:
    """Each case draws a config."""
    started = time.perf_counter()
    failures = [line for number in range(count) if (line := failure(seed, number, folder / str(number)))]
    return Report("repeats", count, failures, seed, time.perf_counter() - started)


def failure(seed: int, number: int, runs: Path) -> str | None:
    rng = Random(f"{seed}-{number}")
    settings = {key: rng.choice(values) for key, values in SETTINGS.items()}
    settings["model.outputs"] = 1 if settings["loss"] == "mse" else 10
    if settings["model.hidden"] == "[]":  # nothing to leave out
        settings["model.dropout"] = 0
    flags = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    try:
        first = train(runs, "--set", "data.dataset=mnist-sample", "--set", "epochs=1", *flags)
        second = train(runs, str(first / "config.yaml"))
        for name in ("model.safetensors", "config.yaml"):
            assert (first / name).read_bytes() == (second / name).read_bytes(), f"{name} differs"
        assert figures(first) == figures(second), "metrics.jsonl differs"
    except Exception as error:
        return f"{number} {settings}: {type(error).__name__}: {error}"
    return None


def train(runs: Path, *arguments: str) -> Path:
    """Train in a process of its own; the run folder."""
    command = [sys.executable, "-m", "mlfound", "train", *arguments, "--quiet", "--runs-dir", str(runs)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"exit code {done.returncode}: {done.stderr[-300:]}"
    return Path(done.stdout.splitlines()[-1])


def figures(run: Path) -> list[dict[str, Any]]:
    """The lines of `metrics.jsonl` without what a stopwatch said."""
    rows = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]
