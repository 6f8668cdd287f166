"""States of a made-up training run, each different from all others, and when two are the same to the last bit."""

import torch

from mlfound.results import Checkpoint


def state(step: int, run: int = 0) -> Checkpoint:
    """The state after so many steps of a run: parameters, velocities, a generator, figures."""
    generator = torch.Generator().manual_seed(1_000_000 * run + step)
    tensors = {
        "w1": torch.randn(13, 7, generator=generator),
        "v1": torch.randn(13, 7, generator=generator),
        "b1": torch.randn(7, dtype=torch.float64, generator=generator),
        "order": torch.randperm(9, generator=generator),
        "step": torch.tensor(step),
    }
    tensors["shuffling"] = generator.get_state()[-256:]
    figures = {"step": step, "epoch": step, "best": {"epoch": 1, "valid_loss": 1 / step}, "threads": 1}
    return Checkpoint(tensors, figures)


def same(one: Checkpoint, other: Checkpoint) -> bool:
    """The same names, dtypes, shapes, bits and facts; `metrics` is the recorder's own fact."""
    return (
        {**one.facts, "metrics": None} == {**other.facts, "metrics": None}
        and one.tensors.keys() == other.tensors.keys()
        and all(
            tensor.dtype == other.tensors[name].dtype and torch.equal(tensor, other.tensors[name])
            for name, tensor in one.tensors.items()
        )
    )
