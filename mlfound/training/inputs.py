"""The data an experiment works on: found, fetched when missing, verified, cut down, normalised, moved."""

from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor

from mlfound.config.training import DataConfig, TrainDataConfig
from mlfound.data.load import Splits, load
from mlfound.data.normalize import Pixels, normalized
from mlfound.data.registry import Dataset, find
from mlfound.errors import UserError
from mlfound.results import Context


@dataclass(frozen=True)
class Inputs:
    """Normalised splits, and the training set's `mean` and `std` they were normalised with."""

    splits: Splits
    mean: Tensor
    std: Tensor
    facts: dict[str, Any]  # what run.json says of the data
    pixels: Pixels | None = None  # where they are to be augmented

    def to(self, device: torch.device) -> Self:
        """The same, with the splits on `device`."""
        pixels = self.pixels and Pixels(*(each.to(device) for each in self.pixels))
        return replace(self, splits=self.splits.to(device), pixels=pixels)


def prepare(config: DataConfig, context: Context, min_classes: int = 1, keep_pixels: bool = False) -> Inputs:
    """Everything the `data:` section of a config asks for, on the CPU; a UserError if there are fewer classes."""
    dataset = find(config.dataset, key="data.dataset")
    split = config.split if isinstance(config, TrainDataConfig) else "lesson"
    splits = load(dataset, context.data_dir, context.recorder.progress, split)
    if len(present := set(splits.train.y.tolist())) < min_classes:
        raise UserError(
            f"every training image is of class {present.pop()}: there is nothing to tell apart; look at the labels",
            key="data.dataset",
        )
    if config.train_rows is not None:
        splits = splits.first(config.train_rows)
    facts = dataset_facts(dataset, splits)
    pixels = splits.train.x
    splits, mean, std = normalized(splits, config.normalize)
    return Inputs(splits, mean, std, facts, Pixels(pixels, mean, std) if keep_pixels else None)


def dataset_facts(dataset: Dataset, splits: Splits) -> dict[str, Any]:
    """What `run.json` says of the data: enough to know in a year that it was the same."""
    rows = {"train": len(splits.train.y), "valid": len(splits.valid.y), "test": len(splits.test.y)}
    return {"name": dataset.name, "digest": splits.digest, "files": splits.files, "rows": rows}
