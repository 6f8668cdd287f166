"""Which rows of its data an engine trains on next: the training images as they are, or new ones made of them."""

import math
from bisect import bisect
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import torch
from torch import Generator, Tensor

from mlfound.config.augmentation import AugmentConfig
from mlfound.data.load import Split
from mlfound.data.normalize import Pixels
from mlfound.engines.processes import shared
from mlfound.foundations.augmentation import distort, erase, mixup
from mlfound.foundations.layers import Shape
from mlfound.foundations.randomness import generator

PART_ROWS = 2_048  # augmented at a time, some: enough to make the cost of a call negligible


class Rows(Protocol):
    """`x` (rows, ...) and `y` (rows, ...) are the data of the engine, of which these say the rows for each step."""

    x: Tensor
    y: Tensor
    least: int  # rows that are there at any time

    def begin(self, epoch: int, order: Tensor, step: int) -> None:
        """After so many epochs and steps of the next, for which this is the `order` (networks, rows)."""
        ...

    def steps_from(self, step: int) -> int:
        """How many steps `take` can give at once, at most."""
        ...

    def take(self, step: int, steps: int) -> Tensor:
        """(networks, numbers of rows) for these steps of the epoch."""
        ...

    def near(self, step: int, count: int) -> Tensor:
        """(count,), at most `least`: the first network's from this step on, or the last ones if those are fewer."""
        ...

    def close(self) -> None:
        """Prepare no more."""
        ...


class AsTheyAre:
    """The training images. See `Rows`."""

    def __init__(self, train: Split, batch_size: int) -> None:
        self.x, self.y, self.batch_size, self.least = train.x, train.y, batch_size, len(train.x)

    def begin(self, epoch: int, order: Tensor, step: int) -> None:
        self.order = order

    def steps_from(self, step: int) -> int:
        return math.ceil(self.least / self.batch_size) - step

    def take(self, step: int, steps: int) -> Tensor:
        return self.order[:, step * self.batch_size : (step + steps) * self.batch_size]

    def near(self, step: int, count: int) -> Tensor:
        start = min(step * self.batch_size, self.least - count)
        return self.order[0, start : start + count]

    def close(self) -> None:
        pass


class Augmented:
    """Other images in every epoch, each network's own. See `Rows`.

    An epoch is made in parts of whole batches, on a CPU each one ahead, while the one before it is trained on: of two
    there is memory. What a part draws depends on seed, epoch and number alone, so the bits are the same whenever it
    is made, and a checkpoint needs nothing of it.
    """

    def __init__(
        self,
        config: AugmentConfig,
        seeds: Sequence[int],
        pixels: Pixels,
        labels: Tensor,
        image: Shape,
        batch_size: int,
    ) -> None:
        """`image` is (height, width); `labels` (rows, ...), for mixup floats."""
        self.config, self.seeds, self.pixels, self.labels = config, seeds, pixels, labels
        self.image, self.batch_size = image, batch_size
        self.parts = parts(len(labels), batch_size)
        self.least, self.most = (pick(map(len, self.parts)) for pick in (min, max))
        count, on_cpu = 2 * len(seeds) * self.most, labels.device.type == "cpu"
        self.x, self.y = (
            shared((count, *each.shape[1:]), each.dtype)  # with the processes that may train on it
            if on_cpu
            else each.new_zeros(count, *each.shape[1:])
            for each in (pixels.x, labels)
        )
        self.pool = ThreadPoolExecutor(1, "augmentation") if on_cpu else None
        self.ready: int | None = None  # the part that is trained on
        self.next: tuple[int, Future[None]] | None = None  # that which is prepared

    def begin(self, epoch: int, order: Tensor, step: int) -> None:
        self.settled()
        self.epoch, self.order, self.ready = epoch, order, None
        self.prepare(self.part_of(step))

    def steps_from(self, step: int) -> int:
        return math.ceil(self.parts[self.part_of(step)].stop / self.batch_size) - step

    def take(self, step: int, steps: int) -> Tensor:
        part = self.part_of(step)
        if part != self.ready:
            if self.settled() != part:
                self.make(part)
            self.ready = part
            self.prepare(part + 1)
        start = step * self.batch_size - self.parts[part].start
        return self.numbers(part)[:, start : start + steps * self.batch_size]

    def near(self, step: int, count: int) -> Tensor:
        part = self.part_of(step)
        start = min(step * self.batch_size - self.parts[part].start, len(self.parts[part]) - count)
        return self.numbers(part)[0, start : start + count]

    def part_of(self, step: int) -> int:
        """The number of the part that this step of the epoch is in."""
        return bisect([part.start for part in self.parts], step * self.batch_size) - 1

    def numbers(self, part: int) -> Tensor:
        """Of the rows of `x` that this part has, (networks, rows)."""
        first = (part % 2) * len(self.seeds) * self.most
        rows = torch.arange(first, first + len(self.seeds) * self.most, device=self.x.device)
        return rows.view(len(self.seeds), self.most)[:, : len(self.parts[part])]

    def prepare(self, part: int) -> None:
        """Begin to make it, if there is one, while something else happens."""
        if self.pool and part < len(self.parts):
            self.next = part, self.pool.submit(self.make, part)

    def settled(self) -> int | None:
        """The part that was being prepared, once it is done."""
        if self.next is None:
            return None
        (part, future), self.next = self.next, None
        future.result()
        return part

    def make(self, part: int) -> None:
        rows, purpose = self.parts[part], f"augmentation of part {part} of epoch {self.epoch}"
        for seed, order, numbers in zip(self.seeds, self.order, self.numbers(part), strict=True):
            chosen, into = order[rows.start : rows.stop], slice(int(numbers[0]), int(numbers[-1]) + 1)
            images, labels = self.pixels.x[chosen].view(-1, *self.image), self.labels[chosen]
            images, self.y[into] = augmented(
                images, labels, self.config, generator(seed, purpose, self.x.device)
            )
            torch.sub(images.flatten(1), self.pixels.mean, out=self.x[into]).div_(self.pixels.std)

    def close(self) -> None:
        if self.pool:
            self.pool.shutdown(cancel_futures=True)


def parts(rows: int, batch_size: int) -> list[range]:
    """Rows in whole batches, about PART_ROWS; none is of a last, smaller batch alone."""
    steps, count = math.ceil(rows / batch_size), max(1, rows // max(PART_ROWS, batch_size))
    ends = [min(rows, part * steps // count * batch_size) for part in range(count + 1)]
    return [*map(range, ends, ends[1:])]


def augmented(
    images: Tensor, labels: Tensor, config: AugmentConfig, generator: Generator
) -> tuple[Tensor, Tensor]:
    """Images (batch, height, width) of pixels, and their labels: distorted, then erased, then mixed."""
    images = distort(images, generator, **config.model_dump(exclude={"erase", "mixup"}))
    if config.erase:
        images = erase(images, generator, config.erase)
    if not config.mixup:
        return images, labels
    mixed = mixup(images, generator, config.mixup)
    return mixed.images, mixed.of(labels)
