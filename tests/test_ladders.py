"""The words that a config may say are the names on the ladders: none forgotten, none made up."""

from typing import get_args

import pytest
from mlfound.foundations.modules import LOSSES

from mlfound.config.models import BackpropBenchConfig, InitStatsConfig
from mlfound.config.training import DataConfig, ModelConfig, TrainConfig
from mlfound.data.normalize import NORMALIZATIONS
from mlfound.engines.ladder import ENGINES
from mlfound.engines.products import PRODUCTS
from mlfound.experiments.backprop.step_task import OURS
from mlfound.experiments.backprop_bench import WORKLOADS
from mlfound.foundations.initialization import INITIALIZATIONS
from mlfound.foundations.schedules import SCHEDULES
from tests.bench.step import NARROW, RACES, WIDE


@pytest.mark.parametrize(
    ("config", "key", "ladder"),
    [
        (DataConfig, "normalize", NORMALIZATIONS),
        (ModelConfig, "init", INITIALIZATIONS),
        (TrainConfig, "loss", LOSSES),
        (TrainConfig, "schedule", SCHEDULES),
        (TrainConfig, "engine", {"auto", *ENGINES}),
        (TrainConfig, "product", {"auto", *PRODUCTS}),
        (BackpropBenchConfig, "workload", WORKLOADS),
    ],
)
def test_config_and_ladder_know_the_same_names(config, key, ladder):
    assert set(get_args(config.model_fields[key].annotation)) == set(ladder)


def test_backprop_bench_knows_the_stages_of_both_workloads():
    names = [name for workload in WORKLOADS.values() for name in workload.LADDER]
    assert BackpropBenchConfig().impl == tuple(dict.fromkeys(names)), "in teaching order"
    words, _ = get_args(BackpropBenchConfig.model_fields["impl"].annotation)
    assert set(get_args(words)) == set(names)


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


def test_init_stats_knows_every_scheme_and_those_that_need_the_whole_stack():
    words, _ = get_args(InitStatsConfig.model_fields["init"].annotation)
    assert set(get_args(words)) == {*INITIALIZATIONS, "lsuv", "fixup"}
