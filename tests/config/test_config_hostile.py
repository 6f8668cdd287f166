"""Input that wants to do harm is read or refused in one harmless line; nothing in it is ever run."""

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlfound.config import Loaded, load, parse_set
from mlfound.config.documents import LARGEST
from mlfound.config.models import CONFIGS
from mlfound.errors import UserError

CANARY = "canary"
BOMB = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)

CORPUS: dict[str, str | bytes] = {
    "call": f'epochs: !!python/object/apply:os.system ["touch {CANARY}"]\n',
    "call of a key": f'? !!python/object/apply:os.system ["touch {CANARY}"]\n: 1\n',
    "new object": f"!!python/object/new:os.system [touch {CANARY}]\n",
    "subprocess": f"epochs: !!python/object/apply:subprocess.Popen [[touch, {CANARY}]]\n",
    "evaluated": f"epochs: !!python/object/apply:eval [\"open('{CANARY}', 'w')\"]\n",
    "name": "epochs: !!python/name:os.system\n",
    "module": "epochs: !!python/module:antigravity\n",
    "own tag": "%TAG ! tag:yaml.org,2002:python/\n---\nepochs: !object/apply:os.system [touch canary]\n",
    "verbatim tag": "epochs: !<tag:yaml.org,2002:python/object/apply:os.system> [touch canary]\n",
    "binary": "epochs: !!binary aGVsbG8=\n",
    "set": "epochs: !!set {1, 2}\n",
    "billion laughs": BOMB,
    "bomb of merges": "a: &a {x: 1}\nb: {<<: [*a, *a, *a]}\n",
    "alias to itself": "a: &a [*a]\n",
    "alias of nothing": "epochs: *nothing\n",
    "deep lists": "[" * LARGEST,
    "deep mappings": "{a: " * (LARGEST // 4),
    "deep blocks": "- " * (LARGEST // 2),
    "deep keys": "? " * (LARGEST // 2),
    "long int": "epochs: " + "9" * 60_000,
    "long negative int": "seed: -" + "9" * 60_000,
    "long exponent": "optimizer: {lr: 1e" + "9" * 60_000 + "}",
    "long hex": "epochs: 0x" + "f" * 60_000,
    "sexagesimal": "epochs: " + ":".join(["59"] * 20_000),
    "long list": "model: {hidden: [" + "1," * 30_000 + "]}",
    "long bad list": "model: {hidden: [" + "0," * 30_000 + "]}",
    "many keys": "".join(f"k{number}: 1\n" for number in range(6_000)),
    "long key": "k" * 60_000 + ": 1\n",
    "long anchor": "&" + "a" * 60_000 + " b: 1\n",
    "long tag": "!" + "a" * 60_000 + " b: 1\n",
    "long tag handle": "!" + "a" * 60_000 + "!b c: 1\n",
    "escapes in a tag handle": "!\u202e!b c: 1\n",
    "NUL": "epochs: 3\x00\n",
    "escapes": 'epochs: "\\e]0;owned\\a\\e[2J\\r\\n\\u202e"\n',
    "escapes in a key": '"\\e[2J": 1\n',
    "escapes, raw": "epochs: \x1b[2J\n",
    "C1 escapes": "epochs: '\u009b2J'\n".encode(),
    "lone surrogate": 'data: {dataset: "\\ud800"}\n',
    "beyond Unicode": 'data: {dataset: "\\UFFFFFFFF"}\n',
    "line separators": "data: {dataset: 'a\u2028b\u2029c\u0085d'}\n",
    "climbing name": "data: {dataset: ../../../etc/passwd\x07}\n",
    "markers": "---\nepochs: 3\n---\nepochs: 4\n",
    "tabs": "optimizer:\n\tlr: 1\n",
    "Latin-1": "data: {dataset: é}\n".encode("latin-1"),
    "UTF-16": "epochs: 3\n".encode("utf-16"),
    "UTF-32": "epochs: 3\n".encode("utf-32"),
    "overlong UTF-8": b"epochs: \xc0\xaf\n",
    "surrogates in UTF-8": b"epochs: \xed\xa0\x80\n",
    "BOM in the middle": "epochs: \ufeff3\n",
    "two BOMs": "\ufeff\ufeffepochs: 3\n",
    "pickle": b"\x80\x04\x95\x10\x00\x00\x00",
    "gzip": b"\x1f\x8b\x08\x00\x00\x00",
    "too large": b"epochs: 3\n" + b"#" * LARGEST,
}


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


@pytest.mark.parametrize("name", CORPUS)
def test_hostile_files_are_refused(name: str) -> None:
    for command in CONFIGS:
        assert isinstance(outcome(command, CORPUS[name]), str)
    assert not Path(CANARY).exists()


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
