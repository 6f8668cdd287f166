"""mlfound: the experiments of "deep learning from the foundations", by hand and measured.

run = mlfound.run("train", "configs/mlp.yaml", epochs=3, **{"optimizer.lr": 0.05})
run.metrics["test_accuracy"], run.table("epochs")[-1]["valid_loss"]
"""

import os
from os import PathLike

from mlfound.errors import UserError

TYPE_CHECKING = False  # to import `typing` takes longer than all else here, and Ctrl-C is not handled yet
if TYPE_CHECKING:  # torch only once it is needed: `mlfound --help` imports this file
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any, Literal

    from torch import Tensor

    from mlfound.foundations.layers import Sequential
    from mlfound.runs.reader import Run
    from mlfound.runs.run import Screen

__version__ = "0.1.0"
MAX_MODEL_BYTES = 2**32


def run(
    command: str,
    config: "str | PathLike[str] | Mapping[str, Any] | None" = None,
    *,
    runs_dir: str | PathLike[str] | None = None,
    data_dir: str | PathLike[str] | None = None,
    name: str | None = None,
    plots: bool = True,
    screen: "Screen | None" = None,
    **overrides: "Any",
) -> "Run":
    """Carry out a command and give its run folder; nothing is printed unless a `screen` is given.

    `config` is a YAML file, a run folder (its config is meant) or a mapping; `overrides` are its keys, dotted where
    they stand in a section: `epochs=3, **{"optimizer.lr": 0.05}`. Without `plots` there are no pictures and no page.
    UserError for what the user must change. A check that did not pass is no error: the run's `status` says so.
    """
    from mlfound.data.registry import default_data_dir
    from mlfound.runs.run import call

    data = default_data_dir() if data_dir is None else _folder(data_dir)
    return call(command, config, overrides, _folder(runs_dir), data, name, plots, screen)


def find_runs(
    where: "Mapping[str, Any] | None" = None, runs_dir: str | PathLike[str] | None = None
) -> "list[Run]":
    """The runs there are, newest first; `where`: those with these values in their config or `run.json`.

    `find_runs(where={"command": "train", "optimizer.lr": 0.05})`. What cannot be read of one is empty, and its
    `problems` say so.
    """
    from mlfound.runs.listing import list_runs, those_with

    folder = _folder(runs_dir)
    return those_with(where or {}, list_runs(folder), folder)


def _folder(given: str | PathLike[str] | None) -> "Path":
    from pathlib import Path

    return Path(os.path.expanduser(given or os.environ.get("MLFOUND_RUNS_DIR") or "runs"))


def load_model(
    run: str | PathLike[str], seed: int | None = None, checkpoint: "Literal['last', 'best'] | None" = None
) -> "tuple[Sequential, Tensor, Tensor]":
    """The trained network of a run folder, and the mean and std of its training pixels.

        model, mean, std = load_model("runs/latest")
        outputs = model((pixels - mean) / std)  # pixels: float32 (images, height * width), bytes / 256

    Of a run with `replicates`, the network of `seed`, or the first. It is that which was tested, unless `checkpoint`
    names an epoch: the "last", or the "best", of the lowest validation loss, which a run without validation images
    does not have. A UserError where there is none to read.
    """
    import json

    from safetensors import SafetensorError
    from safetensors.torch import load

    from mlfound.files import read_plain
    from mlfound.foundations.layers import bound
    from mlfound.foundations.models import MODELS

    if checkpoint not in (None, "last", "best"):
        raise UserError(f'checkpoint={checkpoint!r} is not valid; write "last" or "best"')
    path = os.path.join(run, "model.safetensors")
    try:
        content = read_plain(path, MAX_MODEL_BYTES)
        tensors = load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        about = json.loads(header["__metadata__"]["mlfound"])
        mean, std = (tensors.pop(about["normalize"][name]) for name in ("mean", "std"))
        seeds = about["seeds"]
        prefix = f"{seeds[0 if seed is None else seeds.index(seed)]:d}."  # of its tensors' names, if it has siblings
        own = prefix if len(seeds) > 1 else ""
        network = {name.removeprefix(own): tensors[name] for name in tensors if name.startswith(own)}
        model = MODELS[about["model"]["name"]](about["model"], tuple(about["input_shape"]))
        is_known = checkpoint is None or checkpoint in about["epochs"]
        if checkpoint and is_known and (epoch := about["epochs"][checkpoint]) != about["epoch"]:
            seed = seeds[0] if seed is None else seed
            network = _of_epoch(run, epoch, {name: f"{name} of seed {seed}" for name in network})
        if is_known:
            return bound(model, network), mean, std
    except UserError as error:
        raise UserError(
            f"{error}; no trained model can be read here, name the folder of a train run"
        ) from None
    except (LookupError, TypeError, ValueError, RuntimeError, RecursionError, SafetensorError) as error:
        raise UserError(
            f"{path}: no trained model can be read here ({error}); name the folder of a train run"
        ) from error
    raise UserError(f'{run}: without a validation set no epoch is the best one; write checkpoint="last"')


def _of_epoch(run: str | PathLike[str], epoch: int, names: "Mapping[str, str]") -> "dict[str, Tensor]":
    """A network as it was after `epoch`; `names` are those that its tensors have in a checkpoint."""
    from pathlib import Path

    from mlfound.runs.checkpoints import Checkpoints
    from mlfound.runs.plain_files import read_json

    path = Path(run)
    tensors = Checkpoints(path / "checkpoints", read_json(path / "run.json")["id"]).of_epoch(epoch).tensors
    return {name: tensors[named] for name, named in names.items()}
