"""mlfound: the experiments of "deep learning from the foundations", by hand and measured."""

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from mlfound.errors import UserError

if TYPE_CHECKING:  # torch only once it is needed: `mlfound --help` imports this file
    from torch import Tensor

    from mlfound.foundations.modules import MLP

__version__ = "0.1.0"


def load_model(run: str | PathLike[str]) -> "tuple[MLP, Tensor, Tensor]":
    """The trained network of a run folder, and the mean and std of its training pixels.

        model, mean, std = load_model("runs/latest")
        outputs = model((pixels - mean) / std)  # pixels: float32 (rows, features) in [0, 1), bytes / 256

    A UserError if the folder holds no readable `model.safetensors`.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from mlfound.foundations.modules import MLP

    path = Path(run) / "model.safetensors"
    try:
        tensors = load_file(path)
        shift, mean, std = (tensors.pop(name) for name in ("relu_shift", "input_mean", "input_std"))
        return MLP(tensors, shift.item()), mean, std
    except (OSError, KeyError, SafetensorError) as error:
        raise UserError(
            f"{path}: no trained model can be read here ({error}); name the folder of a train run"
        ) from error
