"""mlfound: the experiments of "deep learning from the foundations", by hand and measured."""

from os import PathLike

from mlfound.errors import UserError

TYPE_CHECKING = False  # to import `typing` takes longer than all else here, and Ctrl-C is not handled yet
if TYPE_CHECKING:  # torch only once it is needed: `mlfound --help` imports this file
    from torch import Tensor

    from mlfound.foundations.modules import MLP

__version__ = "0.1.0"
MAX_MODEL_BYTES = 2**32


def load_model(run: str | PathLike[str], seed: int | None = None) -> "tuple[MLP, Tensor, Tensor]":
    """The trained network of a run folder, and the mean and std of its training pixels.

        model, mean, std = load_model("runs/latest")
        outputs = model((pixels - mean) / std)  # pixels: float32 (rows, features) in [0, 1), bytes / 256

    Of a run with `replicates`, the network of `seed`, or the first. A UserError where there is none to read.
    """
    from pathlib import Path

    from safetensors import SafetensorError
    from safetensors.torch import load

    from mlfound.files import read_plain
    from mlfound.foundations.modules import MLP

    path = Path(run) / "model.safetensors"
    try:
        tensors = load(read_plain(path, MAX_MODEL_BYTES))
        shift, mean, std = (tensors.pop(name) for name in ("relu_shift", "input_mean", "input_std"))
        networks: dict[str, dict[str, Tensor]] = {}  # by seed, which a single one has not in its names
        for name, tensor in tensors.items():
            whose, _, own = name.rpartition(".")
            networks.setdefault(whose, {})[own] = tensor
        network = networks[min(networks, key=lambda whose: int(whose or 0)) if seed is None else str(seed)]
        return MLP(network, shift.item()), mean, std
    except UserError as error:
        raise UserError(
            f"{error}; no trained model can be read here, name the folder of a train run"
        ) from None
    except (LookupError, ValueError, RuntimeError, SafetensorError) as error:
        raise UserError(
            f"{path}: no trained model can be read here ({error}); name the folder of a train run"
        ) from error
