"""Which networks there are, by the name in the description of a trained one."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from mlfound.foundations.modules import MLP

# name: the `model` section of a config and the parameters -> the network at inference
MODELS: dict[str, Callable[[Mapping[str, Any], Mapping[str, Tensor]], MLP]] = {
    "mlp": lambda section, parameters: MLP(parameters, float(section["relu_shift"])),
}
