"""Which classes each split has, and how many images of each."""

import torch
from torch import Tensor

from mlfound.data.load import Splits
from mlfound.data.registry import Dataset
from mlfound.errors import some
from mlfound.experiments.normalization.soundness import at_most, by_name
from mlfound.results import Check, Picture

FULL_NAMES = {"train": "training", "valid": "validation", "test": "test"}
RARE = 0.1
SHOWN_CLASSES = 10


def class_counts(splits: Splits, classes: int | None = None) -> dict[str, Tensor]:
    """How many images each split has of each class, (classes,), by the split's name."""
    size = classes or splits.classes
    return {
        name: torch.bincount(split.y[(split.y >= 0) & (split.y < size)], minlength=size)
        for name, split in by_name(splits).items()
    }


def class_checks(splits: Splits, dataset: Dataset, cut: bool) -> list[Check]:
    """Two classes at least in each split; of a registered dataset as many images of each class as its files have.

    `cut`: some training rows were left out, so that a class may have fewer than the files, but not more.
    """
    single = sum(int((counts > 0).sum() == 1) for counts in class_counts(splits).values())
    checks = [at_most("splits with one class only", single, 0)]
    if known := dataset.train_counts:
        train, valid, test = class_counts(splits, len(known)).values()
        trained = train + valid - torch.tensor(known)
        tested = test - torch.tensor(dataset.test_counts)
        wrong = (trained.clamp(min=0) if cut else trained.abs()).sum() + tested.abs().sum()
        checks.append(at_most(f"images beyond or short of what {dataset.name} has of a class", int(wrong), 0))
    return checks


def class_findings(splits: Splits) -> list[str]:
    """Of each split: which class is the only one, which are absent, which rare (fewer than RARE of an even share).

    Chance does not make a class rare: where 20 images are expected, fewer than 2 come once in 20 million times
    (Poisson), and with a share of 10 or less only an absent class is below. MNIST's rarest has 0.9 of its share.
    """
    sentences = []
    for name, counts in class_counts(splits).items():
        rows, which = int(counts.sum()), FULL_NAMES[name]
        there, share = counts.nonzero()[:, 0].tolist(), rows / splits.classes
        if len(there) == 1:
            why = "the labels are wrong, or the images are sorted by class"
            sentences.append(f"All {which} images are of class {splits.labels[there[0]]}: {why}.")
            continue
        if absent := [str(label) for label, count in zip(splits.labels, counts, strict=True) if not count]:
            sentences.append(f"No {which} image is of class {some(absent, SHOWN_CLASSES)}.")
        few = [number for number in there if counts[number] < RARE * share]
        if rare := [f"{splits.labels[number]} ({counts[number]:,})" for number in few]:
            why = f"less than a tenth of an even share of {share:,.0f}"
            sentences.append(f"Few {which} images are of class {some(rare, SHOWN_CLASSES)}: {why}.")
    return sentences


def class_balance(splits: Splits, name: str) -> Picture:
    counts = class_counts(splits)
    data = {
        "title": f"How often each class of {name} occurs",
        "splits": [FULL_NAMES[split] for split in counts],
        "counts": [each.tolist() for each in counts.values()],
        "names": [str(label) for label in splits.labels],
    }
    return Picture("classes", "class_balance", data)
