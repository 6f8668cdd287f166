"""What the data looks like before and after normalising: how bright, where, which classes, and the first digits."""

from typing import cast

import torch
from torch import Tensor

from mlfound.data.load import LEVELS
from mlfound.data.normalize import ROWS
from mlfound.data.registry import find
from mlfound.experiments.download import digits
from mlfound.experiments.normalization.report import FULL_NAMES, Look
from mlfound.experiments.normalization.soundness import class_counts
from mlfound.results import Picture


def pictures(look: Look) -> list[Picture]:
    """All four."""
    dataset = find(look.data.dataset, key="data.dataset")
    return [histograms(look), images(look), balance(look), digits(dataset, look.before)]


def histograms(look: Look) -> Picture:
    """How often each value occurs in the training set; each of the 256 levels in the middle of a bin of its own."""
    levels = (torch.arange(LEVELS + 1) - 0.5) / LEVELS
    x, after = look.before.train.x, look.after.train.x
    if look.mean.dim() == 0:
        edges = (levels - look.mean) / look.std
    else:
        low, high = after.min().item(), after.max().item()
        edges = torch.linspace(low, max(high, low + 1), LEVELS + 1)
    figures = look.figures["train"]
    return Picture(
        "histograms",
        "pixel_histograms",
        {
            "title": f"The training pixels of {look.name}, before and after normalising",
            "edges": [levels.tolist(), edges.tolist()],
            "counts": [histogram(x, levels), histogram(after, edges)],
            "mean": [figures.mean_before, figures.mean_after],
            "std": [figures.std_before, figures.std_after],
            "zero_share": look.zero_share,
        },
    )


def histogram(x: Tensor, edges: Tensor) -> list[float]:
    """Counts between `edges`, which are evenly apart. In float64: in float32 histc counts no further than 2^24."""
    low, high, bins = edges[0].item(), edges[-1].item(), len(edges) - 1
    parts = [torch.histc(part.double(), bins, low, high) for part in torch.split(x, ROWS)]
    return cast("list[float]", torch.stack(parts).sum(0).tolist())


def images(look: Look) -> Picture:
    """Each pixel's mean and std in the training set, before."""
    train = look.moments_before["train"]
    return Picture(
        "moments",
        "mean_and_std_images",
        {
            "title": f"Mean and standard deviation of each training pixel of {look.name}",
            "mean": train.mean.view(look.before.shape),
            "std": train.std.view(look.before.shape),
        },
    )


def balance(look: Look) -> Picture:
    """How many images each split has of each class."""
    counts = class_counts(look.before)
    return Picture(
        "classes",
        "class_balance",
        {
            "title": f"How often each class of {look.name} occurs",
            "splits": [FULL_NAMES[name] for name in counts],
            "counts": [each.tolist() for each in counts.values()],
        },
    )
