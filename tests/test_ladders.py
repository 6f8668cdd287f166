"""The words that a config may say are the names on the ladders: none forgotten, none made up."""

import subprocess
import sys

import pytest

from mlfound import ladders
from mlfound.config import keys
from mlfound.config.benches import BackpropBenchConfig
from mlfound.config.explaining import choices
from mlfound.config.keys import fields
from mlfound.config.models import CONFIGS
from mlfound.data.load import SPLITS
from mlfound.data.normalize import NORMALIZATIONS
from mlfound.data.registry import DATASETS
from mlfound.engines.ladder import ENGINES
from mlfound.engines.products import PRODUCTS
from mlfound.experiments.backprop.step_task import OURS
from mlfound.experiments.backprop_bench import WORKLOADS
from mlfound.foundations.activations import ACTIVATIONS
from mlfound.foundations.convolution import CONVOLUTIONS
from mlfound.foundations.functions import LOSSES
from mlfound.foundations.initialization import INITIALIZATIONS
from mlfound.foundations.matmul import MATMULS
from mlfound.foundations.model_initialization import BY_MODEL, FITTED
from mlfound.foundations.models import MODELS
from mlfound.foundations.optimizers import OPTIMIZERS
from mlfound.foundations.schedules import PIECES, SCHEDULES
from tests.bench.step import NARROW, RACES, WIDE


@pytest.mark.parametrize(
    ("command", "key", "ladder"),
    [
        ("train", "data.normalize", NORMALIZATIONS),
        ("train", "data.split", SPLITS),
        ("train", "model.init", [*INITIALIZATIONS, *FITTED, *BY_MODEL]),
        ("train", "model.activation", ACTIVATIONS),
        ("train", "model.name", MODELS),
        ("train", "optimizer.name", OPTIMIZERS),
        ("train", "loss", LOSSES),
        ("train", "schedule", SCHEDULES),
        ("train", "schedule.0.name", PIECES),
        ("train", "engine", ["auto", *ENGINES]),
        ("train", "product", ["auto", *PRODUCTS]),
        ("init-stats", "init", [*INITIALIZATIONS, "lsuv", "fixup"]),  # two that need the whole stack
        ("matmul-bench", "impl", MATMULS),
        ("conv-bench", "impl", CONVOLUTIONS),
        ("backprop-bench", "workload", WORKLOADS),
    ],
)
def test_config_and_ladder_know_the_same_names(command, key, ladder):
    assert choices(fields(CONFIGS[command], {"schedule": [{}]})[key]) == tuple(ladder)


def test_the_data_sets_of_the_config_are_those_of_the_registry():
    assert tuple(DATASETS) == keys.DATASETS


def test_no_ladder_is_a_lookup_error():
    with pytest.raises(LookupError, match="no dict literal MADE_UP"):
        ladders.names("foundations/matmul.py", "MADE_UP")


def test_a_config_is_loaded_without_torch():
    """That is why the names are read from the files."""
    code = "import sys; from mlfound.config.loading import load; load('train'); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_backprop_bench_knows_the_stages_of_both_workloads():
    names = [name for workload in WORKLOADS.values() for name in workload.LADDER]
    assert BackpropBenchConfig().impl == tuple(dict.fromkeys(names)), "in teaching order"
    assert set(choices(BackpropBenchConfig.model_fields["impl"])) == set(names)


def test_a_training_step_has_a_rung_for_every_engine_and_product():
    engines, chosen = zip(*OURS.values(), strict=True)
    assert set(engines) == set(ENGINES)
    assert set(chosen) == {"auto", *PRODUCTS}
    for rung, (engine, product) in OURS.items():
        assert rung == (engine if product == "auto" else f"{engine}/{product}")


def test_make_bench_races_who_is_there():
    ladder = WORKLOADS["step"].LADDER
    for race in RACES:
        assert {race.engine, *race.wanted} <= set(ladder)
    by_either = [race.what for race in RACES if {f"buffers/{name}" for name in PRODUCTS} <= set(race.wanted)]
    assert by_either == [NARROW, WIDE]
