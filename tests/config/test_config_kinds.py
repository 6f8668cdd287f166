"""Sections that come in several kinds, sections and lists given whole, and schedules of pieces."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlfound.config.documents import read
from mlfound.config.explaining import wanted
from mlfound.config.keys import Count, Kind, Kinds, defaults, fields, members, name_of
from mlfound.config.loading import Loaded, Override, dump, load, parse_set
from mlfound.config.models import CONFIGS
from mlfound.config.optimizers import AdamConfig, AdamWConfig, LAMBConfig, RMSpropConfig, SGDConfig
from mlfound.config.schedules import PieceConfig
from mlfound.config.training import TrainConfig
from mlfound.errors import UserError

OPTIMIZERS = members(TrainConfig.model_fields["optimizer"].annotation)
FILE = "epochs: 3\noptimizer:\n  lr: 0.2\n  momentum: 0.5\n  nesterov: true\n  weight_decay: 0.1\n"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load_text(text: str, *sets: str) -> Loaded:
    Path("my.yaml").write_text(text or "seed: 0\n")
    return load("train", "my.yaml", [parse_set(each, flag="") for each in sets])


def complaint(text: str, *sets: str) -> str:
    with pytest.raises(UserError) as error:
        load_text(text, *sets)
    assert str(error.value).isprintable()
    return str(error.value)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_name_chooses_a_kind_and_its_defaults(kind: type[Kind]) -> None:
    name = name_of(kind)
    for loaded in (
        load_text(f"optimizer: {{name: {name}}}\n"),
        load_text("", f"optimizer.name={name}"),
        load_text("", f"optimizer={{name: {name}}}"),
    ):
        assert loaded.config.optimizer == kind(name=name)
        assert type(loaded.config.optimizer) is kind
        assert loaded.notes == ()
        assert load_text(dump(loaded.config)).config == loaded.config
        section = read(dump(loaded.config))[0]["optimizer"]
        assert next(iter(section)) == "name"


def test_the_fields_usual_defaults() -> None:
    usual = {"name", "lr", "weight_decay", "decay", "clip_norm", "max_norm"}
    for kind, decay, own in (
        (SGDConfig, (0.1, 0.005, "decoupled"), {"momentum": 0.9, "dampening": 0.0, "nesterov": False}),
        (RMSpropConfig, (1e-3, 0.0, "l2"), {"momentum": 0.0, "beta2": 0.99, "eps": 1e-8}),
        (AdamConfig, (1e-3, 0.0, "l2"), {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}),
        (AdamWConfig, (1e-3, 0.01, "decoupled"), {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}),
        (LAMBConfig, (1e-3, 0.01, "decoupled"), {"beta1": 0.9, "beta2": 0.999, "eps": 1e-6}),
    ):
        values = kind()
        assert (values.lr, values.weight_decay, values.decay) == decay
        assert {key: value for key, value in values if key not in usual} == own
        assert (values.clip_norm, values.max_norm) == (None, None)
        assert values.velocity_decay == own.get("momentum", own.get("beta1"))


def test_keys_reach_into_the_section_that_is_chosen() -> None:
    for order in (1, -1):
        sets = ["optimizer.name=adam", "optimizer.beta2=0.99", "optimizer.clip_norm=1"][::order]
        assert load_text("", *sets).config.optimizer == AdamConfig(beta2=0.99, clip_norm=1)
    loaded = load_text("optimizer: {name: rmsprop}\n", "optimizer.momentum=0.5")
    assert loaded.config.optimizer == RMSpropConfig(momentum=0.5)


def test_a_section_given_whole_sets_the_keys_in_it() -> None:
    loaded = load_text("data: {train_rows: 300}\n", "data={dataset: mnist-sample, normalize: pixel}")
    assert tuple(dict(loaded.config.data).values()) == ("mnist-sample", "pixel", 300, "lesson")
    assert loaded.origins == {
        "data": "my.yaml:1",
        "data.train_rows": "my.yaml:1",
        "data.dataset": "data={dataset: mnist-sample, normalize: pixel}",
        "data.normalize": "data={dataset: mnist-sample, normalize: pixel}",
    }
    assert load_text("", "data={}").config == TrainConfig()
    loaded = load_text("", "optimizer={name: adam, lr: 1e-2}", "optimizer.lr=3e-2")
    assert loaded.config.optimizer == AdamConfig(lr=3e-2)


@pytest.mark.parametrize("change", ["optimizer.name=adam", "optimizer={name: adam}"])
def test_the_files_keys_that_another_kind_lacks_are_left_out_in_one_line(change: str) -> None:
    loaded = load_text(FILE, change)
    assert loaded.config.optimizer == AdamConfig(lr=0.2, weight_decay=0.1)
    assert loaded.notes == (
        f"{change}: adam has no momentum or nesterov; what my.yaml says of them is left out",
    )
    assert not {"optimizer.momentum", "optimizer.nesterov"} & loaded.origins.keys()
    assert loaded.origins["optimizer.lr"] == "my.yaml:3"
    assert load_text(FILE, "optimizer.name=sgd").notes == ()
    assert load_text("optimizer: {name: adam, beta1: 0.8}\n", "optimizer.name=sgd").notes == (
        "optimizer.name=sgd: sgd has no beta1; what my.yaml says of it is left out",
    )


HAVE_BETA2 = "sgd has no beta2; rmsprop, adam, adamw and lamb have it"


@pytest.mark.parametrize(
    ("text", "sets", "line"),
    [
        # in a file whose name stands
        ("seed: 1\noptimizer:\n  beta2: 0.9\n", [], f"my.yaml:3: optimizer.beta2: {HAVE_BETA2}"),
        ("optimizer: {beta2: 1, name: sgd}\n", [], f"my.yaml:1: optimizer.beta2: {HAVE_BETA2}"),
        ("optimizer: {beta2: 1}\n", ["optimizer.name=sgd"], f"my.yaml:1: optimizer.beta2: {HAVE_BETA2}"),
        ("optimizer: {name: lamb, nesterov: true}\n", [],
         "my.yaml:1: optimizer.nesterov: lamb has no nesterov; sgd has it"),
        ("optimizer: {name: adam, momentum: 0.5}\n", [],
         "my.yaml:1: optimizer.momentum: adam has no momentum; sgd and rmsprop have it"),
        # on the command line
        ("", ["optimizer.beta2=0.9"], f"optimizer.beta2=0.9: optimizer.beta2: {HAVE_BETA2}"),
        (FILE, ["optimizer.momentum=0.5", "optimizer.name=adam"],
         "optimizer.momentum=0.5: optimizer.momentum: adam has no momentum; sgd and rmsprop have it"),
        (FILE, ["optimizer={name: adam, momentum: 0.5}"],
         "optimizer={name: adam, momentum: 0.5}: optimizer.momentum: adam has no momentum; "
         "sgd and rmsprop have it"),
        # a key that no kind has is a mistake, whatever is chosen
        ("optimizer: {momentun: 0.5}\n", ["optimizer.name=adam"],
         "my.yaml:1: unknown key 'optimizer.momentun'; write one of optimizer.name, optimizer.lr, "
         "optimizer.weight_decay, optimizer.decay, optimizer.clip_norm, optimizer.max_norm, optimizer.beta1, "
         "optimizer.beta2, optimizer.eps"),
        ("optimizer: {name: adam, beta: 0.5}\n", [],
         "my.yaml:1: unknown key 'optimizer.beta'; did you mean 'optimizer.beta2'?"),
        ("optimizer: {name: addam}\n", [],
         "my.yaml:1: optimizer.name: 'addam' is not valid; did you mean 'adam'? "
         "(one of sgd, rmsprop, adam, adamw, lamb)"),
        ("optimizer: {name: [adam]}\n", [],
         'my.yaml:1: optimizer.name: ["adam"] is not valid; write one of sgd, rmsprop, adam, adamw, lamb'),
        ("optimizer: 3\n", ["optimizer.name=adam"],
         "my.yaml:1: optimizer: 3 is not valid; write keys below it (name, lr, weight_decay, decay, "
         "clip_norm, max_norm, momentum, dampening, nesterov), or leave it out"),
        # values
        ("optimizer:\n  name: adam\n  eps: 0\n", [],
         "my.yaml:3: optimizer.eps: 0 is not valid; write a number above 0"),
        ("", ["optimizer={name: adam, beta1: 1}"],
         "optimizer={name: adam, beta1: 1}: optimizer.beta1: 1 is not valid; write a number from 0 to below 1"),
        ("optimizer: {clip_norm: 0}\n", [],
         "my.yaml:1: optimizer.clip_norm: 0 is not valid; write a number above 0, or null for no limit"),
        ("optimizer: {decay: L2}\n", [],
         "my.yaml:1: optimizer.decay: 'L2' is not valid; did you mean 'l2'? (one of decoupled, l2)"),
        ("model: {activation: selu}\n", [],
         "my.yaml:1: model.activation: 'selu' is not valid; did you mean 'relu'? "
         "(one of relu, leaky, floor, tanh, gelu)"),
        # keys that exclude each other, beside other mistakes too
        ("optimizer:\n  nesterov: true\n  dampening: 0.5\n", [],
         "my.yaml:3: optimizer.dampening: nesterov needs the whole gradient; "
         "write dampening: 0, or nesterov: false"),
        ("optimizer: {dampening: 0.5}\n", ["optimizer.nesterov=true", "epochs=0"],
         "optimizer.nesterov=true: optimizer.nesterov: nesterov needs the whole gradient; "
         "write dampening: 0, or nesterov: false"),
        ("epochs: 0\noptimizer:\n  nesterov: true\n  momentum: 0\n", [],
         "my.yaml:1: epochs: 0 is not valid; write a whole number from 1 to 100000"),
        ("model: {activation: tanh}\n", ["model.ceiling=6"],
         "model.ceiling=6: model.ceiling: a shift and a ceiling are for relu, leaky and floor; "
         "write relu_shift: 0 and ceiling: null"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(text: str, sets: list[str], line: str) -> None:
    assert complaint(text, *sets) == line


SCHEDULE = "[{name: cosine, from: 0.04, to: 1, share: 0.3}, {name: cosine, from: 1, to: 0, share: 0.7}]"


def test_a_schedule_is_a_word_or_a_list_of_pieces() -> None:
    assert load_text("", "schedule=cosine").config.schedule == "cosine"
    loaded = load_text("schedule: constant\n", f"schedule={SCHEDULE}")
    assert loaded == load(
        "train", "my.yaml", [Override("schedule", read(SCHEDULE)[0], f"schedule={SCHEDULE}")]
    )
    rise, fall = loaded.config.schedule
    assert (rise.name, rise.from_, rise.to, rise.share) == ("cosine", 0.04, 1, 0.3)
    assert (fall.momentum_from, fall.momentum_to, fall.power) == (1, 1, None)
    hash(loaded.config)
    text = dump(loaded.config)
    assert "from: 0.04, to: 1.0, share: 0.3" in text
    assert load_text(text).config == loaded.config


PIECE = "schedule:\n- name: {}\n  from: 1\n  share: 1\n  {}\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (SCHEDULE.replace("0.7", "0.6"), "1: schedule: the shares add up to 0.9; write shares that add up to 1"),
        (SCHEDULE.replace("0.7", "0.700000002"),
         "1: schedule: the shares add up to 1.000000002; write shares that add up to 1"),
        ("[{name: cosine, to: 0, share: 1}]", "1: schedule.0.from is missing; write a number, 0 or more"),
        ("[{name: cosine, from: 1, to: 0}]",
         "1: schedule.0.share is missing; write a number above 0, at most 1"),
        ("[{from: 1, to: 0, share: 1}]", "1: schedule.0.name is missing; "
         "write one of constant, linear, cosine, exponential, polynomial"),
        ("[{name: cosinus, from: 1, to: 0, share: 1}]",
         "1: schedule.0.name: 'cosinus' is not valid; did you mean 'cosine'? "
         "(one of constant, linear, cosine, exponential, polynomial)"),
        ("[{name: cosine, from: 1, too: 0, share: 1}]",
         "1: unknown key 'schedule.0.too'; did you mean 'schedule.0.to'?"),
        ("[{name: linear, from: -1, to: 0, share: 1}]",
         "1: schedule.0.from: -1 is not valid; write a number, 0 or more"),
        (SCHEDULE.replace("0.7", "0"), "1: schedule.1.share: 0 is not valid; write a number above 0, at most 1"),
        (PIECE.format("cosine", "momentum_to: 2"),
         "5: schedule.0.momentum_to: 2 is not valid; write a factor from 0 to 1"),
        (PIECE.format("cosine", "to: null"),
         "5: schedule.0.to: cosine leads from one factor to another; write to: 0, or name: constant"),
        (PIECE.format("constant", "to: 0.5"),
         "5: schedule.0.to: constant stays at one factor; leave to out, or write name: linear"),
        (PIECE.format("constant", "momentum_to: 0.5"),
         "5: schedule.0.momentum_to: constant stays at one factor; "
         "write the same momentum_from and momentum_to"),
        (PIECE.format("exponential", "to: 0"),
         "5: schedule.0.to: exponential cannot start or end at 0; write a number above 0, such as 0.001"),
        (PIECE.format("polynomial", "to: 0"),
         "2: schedule.0.name: polynomial needs its power; write power: 2, or name: linear"),
        (PIECE.format("linear", "power: 2\n  to: 0"),
         "5: schedule.0.power: linear has no power; leave it out, or write name: polynomial"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_schedule_is_one_line(text: str, line: str) -> None:
    if text.startswith("["):
        place = f"schedule={text}"
        place = place if len(place) <= 100 else f"{place[:100]}..."
        assert complaint("", f"schedule={text}") == f"{place}: {line.removeprefix('1: ')}"
        text = f"schedule: {text}\n"
    assert complaint(text) == f"my.yaml:{line}"


def test_shares_may_miss_one_by_rounding() -> None:
    third = "{name: constant, from: 1, share: 0.3333333333}"
    assert len(load_text("", f"schedule=[{third}, {third}, {third}]").config.schedule) == 3


def test_every_kind_says_what_to_write_with_the_bounds_that_hold() -> None:
    for kind in (*OPTIMIZERS, PieceConfig):
        for key, field in fields(kind).items():
            assert (words := wanted(field)) not in ("another value", "one of "), f"{key} has no description"
            for bound in field.metadata:
                for name in ("ge", "le", "gt", "lt"):
                    if (number := getattr(bound, name, None)) is not None:
                        assert f"{number}" in words, f"{key}: {name}={number} is not in {words!r}"


def test_the_defaults_are_those_of_the_kind_that_is_given() -> None:
    found = defaults(TrainConfig, {"optimizer": {"name": "lamb", "lr": 3}, "model": 3})
    assert found == TrainConfig(optimizer=LAMBConfig()).model_dump(mode="json", by_alias=True)
    assert defaults(TrainConfig, {"optimizer": {"name": "none"}}) == defaults(TrainConfig, {})


class Small(Kind):
    """A kind of its own, as another file would have it."""

    name: Literal["small"] = "small"
    units: Count = 3


class Large(Kind):
    """And another one."""

    name: Literal["large"] = "large"
    layers: Count = 3


def test_another_kind_is_one_more_class_in_a_union(monkeypatch: pytest.MonkeyPatch) -> None:
    class Made(TrainConfig):
        size: Annotated[Small | Large, Kinds()] = Small()

    monkeypatch.setitem(CONFIGS, "train", Made)
    assert load_text("size: {layers: 4, name: large}\n").config.size == Large(layers=4)
    loaded = load_text("size: {units: 4}\n", "size={name: large, layers: 2}")
    assert loaded.config.size == Large(layers=2)
    assert len(loaded.notes) == 1
    assert complaint("size: {layers: 4}\n") == "my.yaml:1: size.layers: small has no layers; large has it"


@st.composite
def optimizers(draw: st.DrawFn) -> str:
    """A section with keys of any kind."""
    words = sorted({key for kind in OPTIMIZERS for key in fields(kind)} - {"name"})
    keys = draw(st.lists(st.sampled_from(words), unique=True, max_size=4))
    name = draw(st.sampled_from(["", *(f"name: {name_of(kind)}, " for kind in OPTIMIZERS)]))
    values = {"decay": "l2", "nesterov": "false"}
    return f"{{{name}{', '.join(f'{key}: {values.get(key, 0.5)}' for key in keys)}}}"


def outcome(text: str, *sets: str) -> Loaded | None:
    """A config, or None after one line that says which key does not fit."""
    try:
        return load_text(text, *sets)
    except UserError as error:
        line = str(error)
    assert line.isprintable()
    assert " has no " in line
    return None


@settings(deadline=None, max_examples=150)
@given(optimizers(), optimizers(), st.sampled_from(OPTIMIZERS))
def test_any_keys_give_a_config_or_one_line_and_a_file_never_spoils_another_kind(
    text: str, whole: str, kind: type[Kind]
) -> None:
    outcome(f"optimizer: {text}\n", f"optimizer={whole}")
    before = outcome(f"optimizer: {text}\n")
    if before is None:
        return
    loaded = load_text(f"optimizer: {text}\n", f"optimizer.name={name_of(kind)}")
    assert type(loaded.config.optimizer) is kind
    kept = read(text)[0]
    for key in kept.keys() & fields(kind).keys() - {"name"}:
        assert getattr(loaded.config.optimizer, key) == getattr(before.config.optimizer, key)
    lacking = kept.keys() - fields(kind).keys()
    assert len(loaded.notes) == bool(lacking)
    assert all(key in loaded.notes[0] for key in lacking)


# A section that may be null


@pytest.mark.parametrize(
    ("text", "sets", "patience"),
    [
        ("", (), None),
        ("early_stop: null\n", (), None),
        ("early_stop: {patience: 5}\n", (), 5),
        ("", ("early_stop.patience=5",), 5),
        ("early_stop: null\n", ("early_stop.patience=5",), 5),
        ("", ("early_stop={patience: 5}",), 5),
        ("early_stop: {patience: 3}\n", ("early_stop.patience=5",), 5),
        ("early_stop: {}\n", (), 5),
        ("", ("early_stop={}",), 5),
        ("early_stop: {patience: 3}\n", ("early_stop=null",), None),
        ("", ("early_stop.patience=3", "early_stop=null"), None),
        ("", ("early_stop=null", "early_stop.patience=3"), 3),
    ],
)
def test_a_section_may_be_null_until_a_key_of_it_is_set(
    text: str, sets: tuple[str, ...], patience: int | None
) -> None:
    config = load_text(text, *sets).config
    assert (config.early_stop and config.early_stop.patience) == patience
    assert load_text(dump(config)).config == config
    assert defaults(TrainConfig, {"early_stop": {"patience": 5}})["early_stop"] is None


WHOLE = "write {patience: 5}, a whole number of epochs from 1 on, or null for all epochs"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("{patience: 0}", "early_stop.patience: 0 is not valid; write a whole number, 1 or more"),
        ("{patience: -1}", "early_stop.patience: -1 is not valid; write a whole number, 1 or more"),
        ("{patience: many}", "early_stop.patience: 'many' is not valid; write a whole number, 1 or more"),
        ("{patience: 2.5}", "early_stop.patience: 2.5 is not valid; write a whole number, 1 or more"),
        ("{patienc: 2}", "unknown key 'early_stop.patienc'; did you mean 'early_stop.patience'?"),
        ("5", f"early_stop: 5 is not valid; {WHOLE}"),
        ("true", f"early_stop: true is not valid; {WHOLE}"),
        ("soon", f"early_stop: 'soon' is not valid; {WHOLE}"),
        ("[5]", f"early_stop: [5] is not valid; {WHOLE}"),
    ],
)
def test_what_early_stop_may_not_be(value: str, words: str) -> None:
    assert complaint(f"early_stop: {value}\n") == f"my.yaml:1: {words}"
    assert complaint("", f"early_stop={value}") == f"early_stop={value}: {words}"
