"""The files in configs/: they load, each key has its reason, and two of them spell the defaults out."""

import re
from pathlib import Path

import pytest

from mlfound.config.documents import read_file
from mlfound.config.keys import fields
from mlfound.config.loading import load
from mlfound.config.models import CONFIGS
from mlfound.sweeps.grid import read_grid

FOLDER = Path(__file__).parents[2] / "configs"
FILES = sorted(FOLDER.glob("*.yaml"))
SWEEPS = sorted(FOLDER.glob("sweeps/*.yaml"))
DEFAULTS = {"mlp.yaml" if command == "train" else f"{command}.yaml": command for command in CONFIGS}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_config_loads(path: Path) -> None:
    load(DEFAULTS.get(path.name, "train"), path)


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.name)
def test_every_sweep_loads(path: Path) -> None:
    grid = read_grid(path)
    assert grid.axes
    assert grid.seeds


@pytest.mark.parametrize("path", [*FILES, *SWEEPS], ids=lambda path: path.name)
def test_every_key_has_a_comment_and_every_file_a_header(path: Path) -> None:
    text = path.read_text(encoding="utf-8").splitlines()
    assert text[0].startswith("# ")
    for line in read_file(path)[1].values():
        assert re.search(r"\S # \S.{7}", text[line - 1]), f"{path.name}:{line}: a key without a reason"


def test_only_published_figures_are_expected_by_a_config() -> None:
    """Another config would fail wherever its figure is off, on a machine of the user's, after his own change."""
    files = [path for path in FOLDER.rglob("*.yaml") if path.parent.name != "published"]
    assert len(files) > len(FILES)
    for path in files:
        assert read_file(path)[0].get("expect") is None, path


@pytest.mark.parametrize("name", DEFAULTS)
def test_the_default_config_spells_the_defaults_out(name: str) -> None:
    model = CONFIGS[DEFAULTS[name]]
    loaded = load(DEFAULTS[name], FOLDER / name)
    assert loaded.config == model()
    keys = [key for key in loaded.origins if not key.rpartition(".")[2].isdigit()]
    assert keys == list(fields(model)), "every key once, in the model's order"


def test_the_lessons_own_network() -> None:
    config = load("train", FOLDER / "lesson8.yaml").config
    assert (config.model.hidden, config.model.outputs, config.loss) == ((50,), 1, "mse")
    assert (config.model.relu_shift, config.optimizer.momentum, config.schedule) == (0.5, 0, "constant")
