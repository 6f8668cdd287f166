"""`python -m tests.support.digests` prints, as JSON, a digest of each thing that a training draws or prepares."""

import hashlib
import json
from pathlib import Path

import torch

from mlfound.config.networks import CNNConfig, MLPConfig
from mlfound.data.load import load
from mlfound.data.normalize import NORMALIZATIONS, normalized
from mlfound.data.registry import DATASETS
from mlfound.engines.kernel import Setting
from mlfound.engines.kernels import DropoutKernel
from mlfound.foundations import model_initialization, models
from mlfound.foundations.batches import shuffled
from mlfound.foundations.functions import dropout_mask
from mlfound.foundations.initialization import INITIALIZATIONS, gram_schmidt_, standard_normal
from mlfound.foundations.layers import Dropout
from mlfound.foundations.randomness import generator

SHAPES = [(784, 50), (3, 4), (37, 11), (200, 200), (8, 1, 5, 5), (33, 16, 3, 3)]
RATES = [0.1, 0.5]


def digest(*tensors):
    return hashlib.sha256(b"".join(t.contiguous().numpy().tobytes() for t in tensors)).hexdigest()


def digests():
    found = {}
    for name, init in INITIALIZATIONS.items():
        one = [init(shape, generator(0, "weights")) for shape in SHAPES]
        found[name] = digest(*one, init((37, 11), generator(0, "weights"), 13))
    rows = standard_normal((20, 40, 100), generator(0, "weights")).double() / 10
    gram_schmidt_(rows)
    found["orthogonal, in float64"] = digest(rows)  # where rounding to float32 hides nothing
    found["order"] = digest(*(shuffled(rows, generator(0, "shuffling")) for rows in (1, 17, 50_000)))
    x = torch.ones(64, 37)
    found["masks"] = digest(*(dropout_mask(x, rate, generator(0, "dropout")) for rate in RATES))
    found["masks of the kernel"] = digest(*(mask_of_kernel(x, rate) for rate in RATES))
    splits = load(DATASETS["mnist-sample"], Path("nowhere"))
    for how in NORMALIZATIONS:
        after, mean, std = normalized(splits, how)
        found[f"images, {how}"] = digest(mean, std, after.train.x, after.valid.x, after.test.x)
    for config in (MLPConfig(), CNNConfig()):
        model = models.MODELS[config.name](config.model_dump(), splits.shape)
        x = normalized(splits, "global")[0].train.x
        weights = model_initialization.initial_by_name(model, "lsuv", generator(0, "weights"), x)
        found[f"lsuv, {config.name}"] = digest(*weights.values())
    return found


def mask_of_kernel(x, rate):
    setting = Setting((), x, [generator(0, "dropout")], "matmul")
    return DropoutKernel(Dropout(rate), {}, {}, tuple(x.shape), setting).forward(torch.ones_like(x.mT)).mT


if __name__ == "__main__":
    print(json.dumps({"capability": torch.backends.cpu.get_cpu_capability(), **digests()}))
