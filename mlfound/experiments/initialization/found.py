"""What a run of init-stats has measured: the parts that were asked for, the others empty."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mlfound.config.models import InitStatsConfig
from mlfound.experiments.initialization.convolution import Convolution
from mlfound.experiments.initialization.depth import Stack
from mlfound.experiments.initialization.layer import Layer
from mlfound.experiments.initialization.lesson import Funnel, Products

NOTHING = torch.empty(0)


@dataclass(frozen=True)
class Found:
    """`shape` is the images'; `layers` are by scheme, and in each one an activation after the other."""

    config: InitStatsConfig
    name: str  # the data set's
    shape: tuple[int, int]
    x: Tensor = NOTHING  # the rows that went through one layer
    shift: float | None = None  # of the last activation that followed it
    layers: Mapping[str, Sequence[Layer]] = field(default_factory=dict)
    drawn: str = ""  # the scheme that is shown draw by draw
    sample: Tensor = NOTHING  # some of what its products gave, before any activation
    stacks: Sequence[Stack] = ()
    convolutions: Mapping[str, Convolution] = field(default_factory=dict)
    products: Mapping[str, Products] = field(default_factory=dict)
    funnels: Mapping[str, Funnel] = field(default_factory=dict)

    def layer(self, init: str, label: str) -> Layer | None:
        """What this scheme and the activation so labelled gave, if it was looked at."""
        return next((layer for layer in self.layers.get(init, ()) if layer.label == label), None)
