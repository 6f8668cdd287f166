"""The validation images in two halves: by the even rows an epoch is chosen, by the odd rows it is judged.

An epoch that the same images choose and judge looks better than it is: it had the lowest of many noisy figures.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import mean

import torch
from torch import Tensor


@dataclass(frozen=True)
class Halves:
    """The epoch with the lowest loss on the even rows, beside the last one: on the odd rows, and on training rows.

    `odd` and `last_odd` are the losses of the odd rows after either epoch: of one network (1, rows), and of several
    each one's mean (networks, 1). Everything else is a mean over the networks.
    """

    epoch: int
    even: float
    train: float  # the loss of some training rows, by the weights after the epoch
    last_train: float
    odd: Tensor
    last_odd: Tensor

    def then(self, epoch: int, row_losses: Sequence[Tensor], train: float) -> "Halves":
        """After one more epoch; see `halves`."""
        new = halves(epoch, row_losses, train)
        return new if new.even < self.even else replace(self, last_train=train, last_odd=new.odd)


def halves(epoch: int, row_losses: Sequence[Tensor], train: float) -> Halves:
    """After a first epoch with these validation losses (rows,) of each network; a single row is in both halves."""
    even = mean(losses[::2].double().mean().item() for losses in row_losses)
    odd = [losses[1::2] if len(losses) > 1 else losses for losses in row_losses]
    kept = odd[0].clone() if len(odd) == 1 else torch.stack([losses.double().mean() for losses in odd])
    kept = kept.view(len(odd), -1)
    return Halves(epoch, even, train, train, kept, kept)
