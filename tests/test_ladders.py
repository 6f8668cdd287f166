"""The words that a config may say are the names on the ladders: none forgotten, none made up."""

from typing import get_args

import pytest

from mlfound.config.models import DataConfig, ModelConfig, TrainConfig
from mlfound.data.normalize import NORMALIZATIONS
from mlfound.foundations.initialization import INITIALIZATIONS
from mlfound.foundations.modules import LOSSES
from mlfound.foundations.schedules import SCHEDULES


@pytest.mark.parametrize(
    ("config", "key", "ladder"),
    [
        (DataConfig, "normalize", NORMALIZATIONS),
        (ModelConfig, "init", INITIALIZATIONS),
        (TrainConfig, "loss", LOSSES),
        (TrainConfig, "schedule", SCHEDULES),
    ],
)
def test_config_and_ladder_know_the_same_names(config, key, ladder):
    assert set(get_args(config.model_fields[key].annotation)) == set(ladder)
