"""Odd and random input gives a config or one harmless line. The hostile files are tests/faults/yaml_files.py."""

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlfound.config.loading import Loaded, load, parse_set
from mlfound.config.models import CONFIGS
from mlfound.errors import UserError


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def outcome(command: str, content: str | bytes, *sets: str) -> Loaded | str:
    """What loading gives: a config, or the one line; anything else fails the test."""
    Path("my.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    try:
        return load(command, "my.yaml", [parse_set(text) for text in sets])
    except UserError as error:
        line = str(error)
        assert line.isprintable()
        assert len(line) < 500
        return line


@pytest.mark.parametrize(
    "content",
    [
        "\ufeffepochs: 3\n",
        "epochs: 3\r\nseed: 0\r\n",
        "---\nepochs: 3\n...\n",
        "%YAML 1.1\n---\nepochs: 3\n",
        "? epochs\n: 3\n",
        "{epochs: 3}",
        '"epochs": 3',
        "epochs: 3",
        "epochs:\n\n  # three\n  3\n" + "#" * 60_000,
        "epochs: 3\noptimizer: {lr: 0." + "1" * 60_000 + "}",
    ],
)
def test_unusual_files_are_read(content: str) -> None:
    loaded = outcome("train", content)
    assert isinstance(loaded, Loaded)
    assert loaded.config.epochs == 3


SNIPPETS = st.sampled_from(
    ["epochs", "model", "hidden", "optimizer", "lr", "loss", "mse", "from", ":", ": ", "\n", "\n  ", "- ",
     "[", "]", "{", "}", ",", "#", "|", ">", "&a ", "*a", "!!x ", "? ", "'", '"', "\\", "\t", "---\n",
     "...\n", "<<", "1", "1e5", ".inf", "null", "true", "%", "@", "\x00", "\x1b", "\u2028", "\ufeff", "é", "\\ud800",
     "\\UFFFFFFFF"]
)  # fmt: skip
YAMLISH = st.lists(SNIPPETS, max_size=30).map("".join)
ENCODABLE = st.text(st.characters(exclude_categories=["Cs"]))


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(sorted(CONFIGS)), YAMLISH | ENCODABLE | st.binary())
@example("train", b"")
def test_any_file_gives_a_config_or_one_line(command: str, content: str | bytes) -> None:
    outcome(command, content)


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from(["epochs=", "model.hidden=", "device=", "data.dataset=", "model=", "a.b=", ""]),
    YAMLISH | st.text(),
)
@example("epochs=", "\udcff")
def test_any_argument_gives_a_config_or_one_line(key: str, value: str) -> None:
    outcome("train", "seed: 1\n", key + value)
