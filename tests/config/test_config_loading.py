"""Defaults, file and command line become one config; a mistake is one line: where, what, what instead."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mlfound.config.explaining import wanted
from mlfound.config.keys import fields, section_of
from mlfound.config.loading import Loaded, Override, dump, load, parse_flag, parse_set
from mlfound.config.models import CONFIGS, DownloadConfig
from mlfound.config.training import TrainConfig
from mlfound.errors import UserError


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load_text(text: str | bytes | None, *sets: str, command: str = "train") -> Loaded:
    if text is not None:
        Path("my.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(command, None if text is None else "my.yaml", [parse_set(each) for each in sets])


def complaint(text: str | bytes | None, *sets: str, command: str = "train") -> str:
    with pytest.raises(UserError) as error:
        load_text(text, *sets, command=command)
    return str(error.value)


HIDDEN = "write a list of at most 1000 layers of 1 to 1000000 units, as in [100, 50]"
EPOCHS = "write a whole number from 1 to 100000"
SEED = "write a whole number from 0 to 9223372036854775807"
MOMENTUM = "write a number from 0 to below 1"
DATASET = "write a name that mlfound download --list shows"
FROM = "write the path of a folder or file, or null for the web"
MODEL = (
    "write keys below it (name, outputs, init, activation, leak, relu_shift, ceiling, hidden, norm, dropout, "
    "input_dropout), or leave it out"
)
SCHEDULE = (
    "one of constant, cosine, one-cycle, or a list of pieces "
    "such as [{name: cosine, from: 1, to: 0, share: 1}]"
)
INITS = (
    "normal, small, xavier, glorot-normal, glorot-uniform, kaiming, kaiming-uniform, kaiming-fan-out, "
    "torch-default, orthogonal, lsuv, fixup"
)
TOP = (
    "write one of data, augment, model, loss, optimizer, schedule, epochs, early_stop, inside, expect, batch_size, "
    "seed, replicates, engine, product, device, threads, checkpoint"
)
TELLS_APART = "cross-entropy needs two classes or more; write model.outputs: 2 or more, or loss: mse"
ONE_NUMBER = "mse predicts the digit as one number; write model.outputs: 1, or loss: cross-entropy"
LOOKS_AHEAD = "nesterov looks ahead along the momentum; write a momentum above 0, or nesterov: false"

IN_FILES = [
    # unknown keys
    ("seed: 1\noptimizer:\n  lrr: 1\n", ":3: unknown key 'optimizer.lrr'; did you mean 'optimizer.lr'?"),
    ("lr: 0.1\n", ":1: unknown key 'lr'; did you mean 'optimizer.lr'?"),
    ("model: {lr: 0.1}\n", ":1: unknown key 'model.lr'; did you mean 'optimizer.lr'?"),
    ("batch-size: 1\n", ":1: unknown key 'batch-size'; did you mean 'batch_size'?"),
    ("Epochs: 1\n", ":1: unknown key 'Epochs'; did you mean 'epochs'?"),
    ("colour: 1\n", f":1: unknown key 'colour'; {TOP}"),
    ("data: {x: 1}\n", ":1: unknown key 'data.x'; "
     "write one of data.dataset, data.normalize, data.train_rows, data.split"),
    # the wrong type
    ("epochs: ten\n", ":1: epochs: 'ten' is not valid; " + EPOCHS),
    ("epochs: '10'\n", ":1: epochs: '10' is not valid; " + EPOCHS),
    ("epochs: true\n", ":1: epochs: true is not valid; " + EPOCHS),
    ("epochs: 1.0\n", ":1: epochs: 1.0 is not valid; " + EPOCHS),
    ("epochs:\n", ":1: epochs: null is not valid; " + EPOCHS),
    ("epochs: [1]\n", ":1: epochs: [1] is not valid; " + EPOCHS),
    ("epochs: {a: 1}\n", ':1: epochs: {"a": 1} is not valid; ' + EPOCHS),
    ("optimizer: {lr: true}\n", ":1: optimizer.lr: true is not valid; write a number above 0"),
    ("optimizer: {lr: '1'}\n", ":1: optimizer.lr: '1' is not valid; write a number above 0"),
    ("optimizer: {nesterov: yes}\n", ":1: optimizer.nesterov: 'yes' is not valid; write true or false"),
    ("optimizer: {nesterov: 1}\n", ":1: optimizer.nesterov: 1 is not valid; write true or false"),
    ("model:\nseed: 1\n", f":1: model: null is not valid; {MODEL}"),
    ("model: [1]\n", f":1: model: [1] is not valid; {MODEL}"),
    ("data: {dataset: 3}\n", ":1: data.dataset: 3 is not valid; " + DATASET),
    # out of range
    ("seed: 1\n\nepochs: 0\n", ":3: epochs: 0 is not valid; " + EPOCHS),
    ("epochs: 100001\n", ":1: epochs: 100001 is not valid; " + EPOCHS),
    ("batch_size: 0\n", ":1: batch_size: 0 is not valid; write a whole number, 1 or more"),
    ("seed: -1\n", ":1: seed: -1 is not valid; " + SEED),
    (f"seed: {2**63}\n", f":1: seed: {2**63} is not valid; " + SEED),
    ("data: {train_rows: 0}\n", ":1: data.train_rows: 0 is not valid; write a whole number, 1 or more, "
     "or null for all"),
    ("optimizer: {lr: -1}\n", ":1: optimizer.lr: -1 is not valid; write a number above 0"),
    ("optimizer: {lr: 0}\n", ":1: optimizer.lr: 0 is not valid; write a number above 0"),
    ("optimizer: {lr: .inf}\n", ":1: optimizer.lr: '.inf' is not valid; write a number above 0"),
    ("optimizer: {lr: 1e999}\n", ":1: optimizer.lr: Infinity is not valid; write a number above 0"),
    ("optimizer: {momentum: 1}\n", ":1: optimizer.momentum: 1 is not valid; " + MOMENTUM),
    ("optimizer: {momentum: .nan}\n", ":1: optimizer.momentum: '.nan' is not valid; " + MOMENTUM),
    ("optimizer: {weight_decay: -.1}\n", ":1: optimizer.weight_decay: -0.1 is not valid; "
     "write a number, 0 or more"),
    ("model: {relu_shift: 1e999}\n", ":1: model.relu_shift: Infinity is not valid; write a number"),
    ("model: {outputs: 0}\n", ":1: model.outputs: 0 is not valid; write a whole number from 1 to 1000000"),
    # the list of layers
    ("model: {hidden: [0]}\n", f":1: model.hidden: [0] is not valid; {HIDDEN}"),
    ("model: {hidden: [1000000000]}\n", f":1: model.hidden: [1000000000] is not valid; {HIDDEN}"),
    ("model:\n  hidden:\n  - 5\n  - true\n", f":4: model.hidden: [5, true] is not valid; {HIDDEN}"),
    ("model: {hidden: 100}\n", f":1: model.hidden: 100 is not valid; write [100] ({HIDDEN[6:]})"),
    ("model: {hidden: '50'}\n", f":1: model.hidden: '50' is not valid; {HIDDEN}"),
    ("model: {hidden: [[5]]}\n", f":1: model.hidden: [[5]] is not valid; {HIDDEN}"),
    ("model: {hidden: {a: 1}}\n", f":1: model.hidden: {{\"a\": 1}} is not valid; {HIDDEN}"),
    (f"model: {{hidden: {[1] * 1001}}}\n", f":1: model.hidden: [{'1, ' * 19}1,... is not valid; {HIDDEN}"),
    # choices
    ("model: {init: kaming}\n", ":1: model.init: 'kaming' is not valid; did you mean 'kaiming'? "
     f"(one of {INITS})"),
    ("model: {init: glorot}\n", ":1: model.init: 'glorot' is not valid; did you mean 'glorot-normal'? "
     f"(one of {INITS})"),
    ("loss: MSE\n", ":1: loss: 'MSE' is not valid; did you mean 'mse'? (one of mse, cross-entropy)"),
    ("data: {normalize:}\n", ":1: data.normalize: null is not valid; write one of global, pixel, none"),
    ("schedule: 1\n", f":1: schedule: 1 is not valid; write {SCHEDULE}"),
    ("schedule: one-cycel\n", ":1: schedule: 'one-cycel' is not valid; did you mean 'one-cycle'? "
     f"({SCHEDULE})"),
    ("schedule: []\n", ":1: schedule: the shares add up to 0; write shares that add up to 1"),
    ("schedule: [cosine]\n", f':1: schedule: ["cosine"] is not valid; write {SCHEDULE}'),
    ("device: gpu\n", ":1: device: 'gpu' is not valid; write auto, cpu, cuda, cuda:N or mps"),
    ("device: cuda:x\n", ":1: device: 'cuda:x' is not valid; write auto, cpu, cuda, cuda:N or mps"),
    ('device: "cpu\\n"\n', ":1: device: 'cpu\\n' is not valid; write auto, cpu, cuda, cuda:N or mps"),
    ("threads: 0\n", ":1: threads: 0 is not valid; write auto or a whole number from 1 to 1024"),
    ("threads: all\n", ":1: threads: 'all' is not valid; write auto or a whole number from 1 to 1024"),
    ("threads: true\n", ":1: threads: true is not valid; write auto or a whole number from 1 to 1024"),
    # keys that don't fit together: the one that was set last is at fault
    ("loss: mse\n", f":1: loss: {ONE_NUMBER}"),
    ("loss: mse\nmodel: {outputs: 10}\n", f":2: model.outputs: {ONE_NUMBER}"),
    ("model: {outputs: 1}\n", f":1: model.outputs: {TELLS_APART}"),
    ("model: {outputs: 1}\nloss: cross-entropy\n", f":2: loss: {TELLS_APART}"),
    ("optimizer: {momentum: 0, nesterov: true}\n", f":1: optimizer.nesterov: {LOOKS_AHEAD}"),
    # of several mistakes the first in the file
    ("seed: -1\ncolour: 1\nepochs: 0\n", ":1: seed: -1 is not valid; " + SEED),
    ("colour: 1\nseed: -1\n", f":1: unknown key 'colour'; {TOP}"),
    ("epochs: 0\ndata: {dataset: 3}\n", ":1: epochs: 0 is not valid; " + EPOCHS),
    # no config at all
    ("", ": empty; write keys and values, as in epochs: 10"),
    ("# nothing\n---\n", ": empty; write keys and values, as in epochs: 10"),
    ("epochs\n", ": 'epochs' is not valid; write keys and values, as in epochs: 10"),
    ("- epochs: 1\n", ": [{\"epochs\": 1}] is not valid; write keys and values, as in epochs: 10"),
    ("seed: 1\nepochs: [\n", ":3: not YAML: expected the node content, but found '<stream end>'"),
    (b"seed: 1\nepochs: \xff\n", ":2: not UTF-8; save it as UTF-8 text"),
    ("seed: 1\n".encode("utf-16"), ":1: not UTF-8; save it as UTF-8 text"),
    (b"a" * (64 * 1024 + 1), ": larger than 65,536 bytes"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line"), IN_FILES)
def test_a_mistake_in_a_file_is_one_line(text: str | bytes, line: str) -> None:
    assert complaint(text) == f"my.yaml{line}"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("data: {dataset: mnist}\n", ":1: unknown key 'data'; write one of dataset, from, verify"),
        ("from_: x\n", ":1: unknown key 'from_'; did you mean 'from'?"),
        ("from: ''\n", ":1: from: '' is not valid; " + FROM),
        ('from: "a\\0"\n', r":1: from: 'a\x00' is not valid; " + FROM),
        ('dataset: "\\e[1m"\n', r":1: dataset: '\x1b[1m' is not valid; " + DATASET),
    ],
)  # fmt: skip
def test_a_mistake_in_a_file_for_download(text: str, line: str) -> None:
    assert complaint(text, command="download") == f"my.yaml{line}"


ON_THE_COMMAND_LINE = [
    ("optimizer.lr=-1", "optimizer.lr: -1 is not valid; write a number above 0"),
    ("optimizer.lr=", "optimizer.lr: null is not valid; write a number above 0"),
    ("optimizer.lr=@", "not YAML: found character '@' that cannot start any token"),
    ("optimizer.lr=!!float 1", "'!!float' is a tag; write a plain value"),
    ("epochs=a: b", 'epochs: {"a": "b"} is not valid; write a whole number from 1 to 100000'),
    ("model.hidden=100", f"model.hidden: 100 is not valid; write [100] ({HIDDEN[6:]})"),
    ("lr=1", "unknown key 'lr'; did you mean 'optimizer.lr'?"),
    ("modle.hidden=1", "unknown key 'modle.hidden'; did you mean 'model.hidden'?"),
    ("epochs.x=1", "unknown key 'epochs.x'; epochs is no section, write epochs: VALUE"),
    (
        "model.hidden.0=1",
        "unknown key 'model.hidden.0'; model.hidden is no section, write model.hidden: VALUE",
    ),
    ("model=3", f"model: 3 is not valid; {MODEL}"),
    ("model=", f"model: null is not valid; {MODEL}"),
    ("model={hidden: [0]}", f"model.hidden: [0] is not valid; {HIDDEN}"),
    ("model={hiden: [3]}", "unknown key 'model.hiden'; did you mean 'model.hidden'?"),
    ("model={hidden: {a: 1}}", f'model.hidden: {{"a": 1}} is not valid; {HIDDEN}'),
    ("schedule.0.share=1", f"unknown key 'schedule.0.share'; {TOP}"),
    ("optimizer.name=adm", "optimizer.name: 'adm' is not valid; did you mean 'adam'? "
     "(one of sgd, rmsprop, adam, adamw, lamb)"),
    ("optimizer.name=", "optimizer.name: null is not valid; "
     "write one of sgd, rmsprop, adam, adamw, lamb"),
    ("model.name=cn", "model.name: 'cn' is not valid; did you mean 'cnn'? "
     "(one of mlp, cnn, lenet5, resnet, residual-mlp)"),
    ("epochs", "write --set KEY=VALUE, as in --set epochs=3"),
    ("=3", "write --set KEY=VALUE, as in --set epochs=3"),
    ("", "write --set KEY=VALUE, as in --set epochs=3"),
    (".=3", f"unknown key '.'; {TOP}"),
    ("loss=mse", f"loss: {ONE_NUMBER}"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), ON_THE_COMMAND_LINE)
def test_a_mistake_on_the_command_line_is_one_line(text: str, message: str) -> None:
    assert complaint(None, text) == f"--set {text}: {message}"
    assert complaint("epochs: 3\nmodel: {hidden: [9]}\n", text) == f"--set {text}: {message}"


def test_long_and_odd_arguments_are_shown_short_and_escaped() -> None:
    assert complaint(None, "epochs=\x1b[31m\n").startswith(r"--set epochs=\x1b[31m\n: not YAML: ")
    assert complaint(None, "epochs=\udcff") == (
        r"--set epochs=\udcff: not YAML: the character '\udcff' is not allowed here"
    )
    assert len(complaint(None, "x" * 10_000 + "=1")) < 400
    assert len(complaint(None, "epochs=" + "9" * 10_000)) < 300


def test_a_file_that_cannot_be_read_is_one_line() -> None:
    Path("folder").mkdir()
    os.mkfifo("pipe")
    Path("endless").symlink_to("/dev/zero")
    for path, message in {
        "none.yaml": "none.yaml: there is no such file",
        "./none.yaml": "./none.yaml: there is no such file",
        "": "'': there is no such file",
        "\x1b\n": r"\x1b\n: there is no such file",
        "folder": "folder: this is a folder; name a file",
        "pipe": "pipe: this is no plain file",
        "endless": "endless: this is no plain file",
        "a\0b": r"a\x00b: cannot be read (embedded null byte)",
        "x" * 300: f"{'x' * 300}: cannot be read (File name too long)",
    }.items():
        with pytest.raises(UserError) as error:
            load("train", path)
        assert str(error.value) == message


def test_flags_win_over_the_file_and_the_later_over_the_earlier() -> None:
    Path("my.yaml").write_text("epochs: 3\nseed: 1\nmodel:\n  hidden: [9,\n    8]\n")
    overrides = [
        parse_set("epochs=4"),
        parse_set("model.hidden=[100,50]"),
        parse_set("optimizer.lr=1e-3"),
        Override("epochs", 5, "--epochs 5"),
        parse_flag("threads", "2", "--threads 2"),
        parse_flag("device", "cuda:1", "--device cuda:1"),
    ]
    loaded = load("train", Path("my.yaml"), overrides)
    config = loaded.config
    assert (config.epochs, config.seed, config.threads, config.device) == (5, 1, 2, "cuda:1")
    assert (config.model.hidden, config.optimizer.lr) == ((100, 50), 0.001)
    assert config.optimizer.momentum == TrainConfig().optimizer.momentum
    assert loaded.origins == {
        "seed": "my.yaml:2",
        "model": "my.yaml:3",
        "model.hidden": "--set model.hidden=[100,50]",
        "optimizer.lr": "--set optimizer.lr=1e-3",
        "epochs": "--epochs 5",
        "threads": "--threads 2",
        "device": "--device cuda:1",
    }


def test_an_override_mends_a_mistake_in_the_file_and_blames_the_flag_for_its_own() -> None:
    assert load_text("epochs: 0\n", "epochs=3").config.epochs == 3
    assert complaint("model:\n  hidden: [1, 0]\n", "model.hidden=[0]") == (
        f"--set model.hidden=[0]: model.hidden: [0] is not valid; {HIDDEN}"
    )
    assert complaint("model: 3\n", "model.outputs=3").startswith(
        "my.yaml:1: model: 3 is not valid; write keys below it"
    )
    assert complaint("model: {outputs: 1}\nloss: mse\n", "model.outputs=2") == (
        f"--set model.outputs=2: model.outputs: {ONE_NUMBER}"
    )


def test_an_error_of_an_experiment_is_told_where_its_key_was_set() -> None:
    loaded = load_text("seed: 1\nbatch_size: 900\noptimizer:\n  momentum: 0\n", "data.dataset=mnst")
    assert (
        loaded.locate(UserError("larger than the data", "batch_size"))
        == "my.yaml:2: batch_size: larger than the data"
    )
    assert (
        loaded.locate(UserError("unknown", "data.dataset"))
        == "--set data.dataset=mnst: data.dataset: unknown"
    )
    assert loaded.locate(UserError("too large", "optimizer.lr")) == "optimizer.lr: too large"
    assert loaded.locate(UserError("no network")) == "no network"


def test_what_is_not_said_is_default() -> None:
    assert load("train").config == TrainConfig()
    assert load("download").config == DownloadConfig()
    loaded = load_text("model:\n  hidden: []\n")
    assert loaded.config == TrainConfig(model={"hidden": []})
    assert load_text("optimizer: {lr: 1}\n").config.optimizer.lr == 1.0


def test_configs_are_frozen_all_the_way_down() -> None:
    config = TrainConfig()
    hash(config)
    for part, key in ((config, "epochs"), (config.model, "hidden"), (config.optimizer, "lr")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(part, key, 1)


@pytest.mark.parametrize("command", CONFIGS)
def test_the_defaults_are_valid_and_dump_loads_them_back(command: str) -> None:
    config = load(command).config
    loaded = load_text(dump(config), command=command)
    assert loaded.config == config
    assert {key for key, field in fields(CONFIGS[command]).items() if not section_of(field)} <= set(
        loaded.origins
    )


@pytest.mark.parametrize("command", CONFIGS)
def test_what_to_write_is_said_with_the_bounds_that_hold(command: str) -> None:
    for key, field in fields(CONFIGS[command]).items():
        words = wanted(field)
        assert words != "another value", f"{key} has no description"
        for bound in field.metadata:
            for name in ("ge", "le", "gt", "lt"):
                if (number := getattr(bound, name, None)) is not None:
                    assert f"{number}" in words, f"{key}: {name}={number} is not in {words!r}"


NAMES = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=20)
POSITIVE = st.floats(0, exclude_min=True, allow_infinity=False)


@st.composite
def train_configs(draw: st.DrawFn) -> TrainConfig:
    loss = draw(st.sampled_from(["cross-entropy", "mse"]))
    momentum = draw(st.floats(0, 1, exclude_max=True))
    return TrainConfig.model_validate({
        "data": {
            "dataset": draw(NAMES | st.sampled_from(["1e5", "null", "~", "true", "12", ".5", " a", "#"])),
            "normalize": draw(st.sampled_from(["global", "pixel", "none"])),
            "train_rows": draw(st.none() | st.integers(1, 10**30)),
        },
        "model": {
            "hidden": draw(st.lists(st.integers(1, 1_000_000), max_size=6)),
            "outputs": 1 if loss == "mse" else draw(st.integers(2, 1_000_000)),
            "init": draw(st.sampled_from(["kaiming", "glorot-normal"])),
            "relu_shift": draw(st.floats(allow_nan=False, allow_infinity=False)),
        },
        "loss": loss,
        "optimizer": {
            "lr": draw(POSITIVE),
            "momentum": momentum,
            "nesterov": momentum > 0 and draw(st.booleans()),
            "weight_decay": draw(POSITIVE | st.just(0.0)),
        },
        "schedule": draw(st.sampled_from(["one-cycle", "cosine", "constant"])),
        "epochs": draw(st.integers(1, 100_000)),
        "batch_size": draw(st.integers(1, 10**30)),
        "seed": draw(st.integers(0, 2**63 - 1)),
        "device": draw(st.sampled_from(["auto", "cpu", "cuda", "cuda:0", "cuda:12", "mps"])),
        "threads": draw(st.just("auto") | st.integers(1, 1024)),
    })  # fmt: skip


@settings(deadline=None)
@given(train_configs())
def test_any_config_dumps_and_loads_back(config: TrainConfig) -> None:
    Path("dumped.yaml").write_text(dump(config), encoding="utf-8")
    assert load("train", "dumped.yaml").config == config


@settings(deadline=None)
@given(NAMES)
def test_any_path_dumps_and_loads_back(path: str) -> None:
    config = DownloadConfig.model_validate({"from": path})
    Path("dumped.yaml").write_text(dump(config), encoding="utf-8")
    assert load("download", "dumped.yaml").config == config
