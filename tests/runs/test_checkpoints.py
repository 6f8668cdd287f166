"""Checkpoints: what was written comes back to the last bit, or the one before it does, or a line says why not."""

import json
import os
from hashlib import sha256

import pytest
import torch
from safetensors.torch import save

from mlfound.errors import UserError
from mlfound.results import Checkpoint
from mlfound.runs.checkpoints import MAX_MANIFEST_BYTES, Checkpoints, encode


def state(step):
    """Every kind of tensor that a training run has, others at each step."""
    generator = torch.Generator().manual_seed(step)
    flat = torch.randn(60, generator=generator)
    tensors = {
        "w1": flat[:50].view(5, 10),  # views of one buffer, as the fast engines have them
        "b1": flat[50:],
        "exact": torch.randn(3, dtype=torch.float64, generator=generator),
        "order": torch.randperm(7, generator=generator),
        "turned": torch.arange(6.0).view(2, 3).t() + step,  # not contiguous
        "step": torch.tensor(step),
        "nothing": torch.empty(0, 3),
        "generator": generator.get_state(),
    }
    return Checkpoint(tensors, {"step": step, "lr": 0.1 + step, "best": None, "versions": {"torch": "2"}})


def same(one, other):
    """The same to the last bit: a nan or a -0.0 in a generator's state would not be equal to itself."""
    return (
        one.facts == other.facts
        and one.tensors.keys() == other.tensors.keys()
        and all(
            t.dtype == other.tensors[name].dtype and torch.equal(t, other.tensors[name])
            for name, t in one.tensors.items()
        )
    )


@pytest.fixture
def store(tmp_path):
    return Checkpoints(tmp_path / "checkpoints", "a-run")


def files(store):
    return sorted(path.name for path in store.folder.iterdir())


def again(store):
    """As another process finds them, and what it was told."""
    told = []
    return Checkpoints(store.folder, store.run).newest(told.append), told


def test_what_was_written_comes_back_to_the_last_bit(store):
    store.write(state(7), keep=3)
    read, told = again(store)
    assert same(read, state(7))
    assert not told
    read.tensors["w1"].add_(1)  # not a view of something that must not change


def test_a_generator_goes_on_where_it_was(store):
    generator = torch.Generator().manual_seed(5)
    torch.rand(10, generator=generator)
    store.write(Checkpoint({"g": generator.get_state()}, {}), keep=1)
    wanted = torch.rand(10, generator=generator)
    restored = torch.Generator()
    restored.set_state(again(store)[0].tensors["g"])
    assert torch.equal(torch.rand(10, generator=restored), wanted)


def test_none_before_the_first(store):
    assert again(store) == (None, [])
    store.folder.mkdir()
    (store.folder / "000001.safetensors").write_bytes(
        save({"a": torch.ones(1)})
    )  # killed before its manifest
    (store.folder / ".000001.json-abcd1234").write_bytes(b"{")
    assert again(store) == (None, [])


def test_the_last_ones_and_the_best_stay(store):
    for step in range(1, 8):
        store.write(state(step), keep=2, best=step in (2, 3))
    assert files(store) == [f"{number:06}.{kind}" for number in (3, 6, 7) for kind in ("json", "safetensors")]
    assert again(store)[0].facts["step"] == 7


def test_older_ones_go_only_when_the_new_one_is_durable(store, monkeypatch):
    store.write(state(1), keep=1)
    real = os.replace

    def fail(source, target):
        if str(target).endswith(".json"):
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space") as caught:
        store.write(state(2), keep=1)
    assert caught.value.filename == str(store.folder / "000002.json")
    monkeypatch.undo()
    assert again(store)[0].facts["step"] == 1
    store.write(state(3), keep=1)
    assert files(store) == ["000003.json", "000003.safetensors"], "the half of the second is gone"


def test_the_tensors_are_on_disk_before_the_manifest_and_that_before_anything_goes(store, monkeypatch):
    store.write(state(1), keep=1)
    done = []
    for name in ("fsync", "replace", "unlink"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, name=name, real=real: (done.append((name, a)), real(*a))[1])
    store.write(state(2), keep=1)
    kinds = [name if name != "replace" else str(a[1])[-4:] for name, a in done]
    assert kinds == ["fsync", "fsync", "sors", "fsync", "fsync", "json", "fsync", "unlink", "unlink"]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_a_state_that_is_not_finite_is_never_written(store, bad, dtype):
    store.write(state(1), keep=1)
    before = files(store)
    tensors = {"w1": torch.ones(3), "v1": torch.tensor([[0, 1], [bad, 2]], dtype=dtype)}
    with pytest.raises(FloatingPointError, match=r"^v1$"):
        store.write(Checkpoint(tensors, {}), keep=1)
    assert files(store) == before


@pytest.mark.parametrize("facts", [{"loss": float("nan")}, {"best": {"loss": float("inf")}}])
def test_a_fact_that_is_not_finite_is_never_written(store, facts):
    with pytest.raises(ValueError, match="JSON"):
        store.write(Checkpoint({}, facts), keep=1)
    assert not store.folder.exists()


def test_facts_come_back_as_json_has_them(store):
    facts = {
        "tuple": (1, 2.5),
        "nested": {10: "ten", 9: "nine"},
        "text": "é\ud800\n",
        "tiny": 5e-324,
        "zero": -0.0,
    }
    store.write(Checkpoint({}, facts), keep=1)
    read, _ = again(store)
    assert read.facts == json.loads(json.dumps(facts))
    assert str(read.facts["zero"]) == "-0.0"


def test_too_many_facts_are_a_mistake_of_ours(store):
    with pytest.raises(ValueError, match="too many"):
        store.write(Checkpoint({}, {"history": "x" * MAX_MANIFEST_BYTES}), keep=1)


def written(store, *steps):
    for step in steps:
        store.write(state(step), keep=9)
    return store.folder


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


DAMAGES = {
    "a bit of the tensors": lambda folder: flip(folder / "000002.safetensors"),
    "a bit of the manifest": lambda folder: flip(folder / "000002.json"),
    "the tensors cut short": lambda folder: os.truncate(folder / "000002.safetensors", 100),
    "the tensors empty": lambda folder: os.truncate(folder / "000002.safetensors", 0),
    "the manifest empty": lambda folder: os.truncate(folder / "000002.json", 0),
    "the tensors made longer": lambda folder: os.truncate(folder / "000002.safetensors", 20_000),
    "tensors missing": lambda folder: (folder / "000002.safetensors").unlink(),
    "tensors of the one before": lambda folder: os.replace(
        folder / "000001.safetensors", folder / "000002.safetensors"
    ),
    "no JSON": lambda folder: (folder / "000002.json").write_text("<html>"),
    "a list": lambda folder: (folder / "000002.json").write_text("[]"),
    "deep": lambda folder: (folder / "000002.json").write_text("[" * 100_000),
    "a long number": lambda folder: (folder / "000002.json").write_text('{"bytes": ' + "9" * 5000 + "}"),
    "not UTF-8": lambda folder: (folder / "000002.json").write_bytes(b'{"bytes": "\xff"}'),
    "huge": lambda folder: (folder / "000002.json").write_bytes(b" " * (MAX_MANIFEST_BYTES + 1)),
    "a pipe": lambda folder: ((folder / "000002.json").unlink(), os.mkfifo(folder / "000002.json")),
    "a folder": lambda folder: ((folder / "000002.json").unlink(), (folder / "000002.json").mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_one_is_passed_over(store, damage):
    folder = written(store, 1, 2)
    keep = (folder / "000001.safetensors").read_bytes()
    damage(folder)
    (folder / "000001.safetensors").write_bytes(keep)
    read, told = again(store)
    assert same(read, state(1))
    assert len(told) == 1
    assert "000002" in told[0]
    assert "passed over" in told[0]
    assert "\n" not in told[0]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("run", "another"), ("generation", 1), ("best", True), ("schema", 2), ("facts", {"step": 3}),
        ("facts", [["step", 3]]), ("facts", 5), ("bytes", 1), ("bytes", "x"), ("bytes", 10**18), ("bytes", None),
        ("tensors", {}), ("sha256", "0" * 64), ("more", 1),
    ],
)  # fmt: skip
def test_an_edited_manifest_is_passed_over(store, key, value):
    folder = written(store, 1, 2)
    content = json.loads((folder / "000002.json").read_text())
    content[key] = value
    (folder / "000002.json").write_bytes(encode(content))
    assert same(again(store)[0], state(1))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("run", "another"), ("generation", 1), ("schema", 2), ("bytes", 10**18), ("tensors", {}),
        ("tensors", {"w1": ["torch.float64", 5, 10]}), ("facts", 5),
    ],
)  # fmt: skip
def test_its_digest_set_right_does_not_help(store, key, value):
    """Who forges a digest can put in what he likes; but not another run, another place or other shapes."""
    folder = written(store, 1, 2)
    content = json.loads((folder / "000002.json").read_text())
    del content["manifest_sha256"]
    content[key] = value
    content["manifest_sha256"] = sha256(encode(content)).hexdigest()
    (folder / "000002.json").write_bytes(encode(content))
    assert same(again(store)[0], state(1))


def test_no_safetensors_behind_a_right_digest(store):
    folder = written(store, 1, 2)
    content = json.loads((folder / "000002.json").read_text())
    for junk in (b"", b"\xff" * 100, (8).to_bytes(8, "little") + b'{"a":1}' + b" "):
        (folder / "000002.safetensors").write_bytes(junk)
        content |= {"bytes": len(junk), "sha256": sha256(junk).hexdigest()}
        (folder / "000002.json").write_bytes(encode(content))
        assert same(again(store)[0], state(1))


def test_one_of_another_run_is_passed_over(store, tmp_path):
    written(store, 1)
    other = Checkpoints(tmp_path / "other", "another-run")
    written(other, 1, 2, 3)
    for kind in ("json", "safetensors"):
        os.replace(other.folder / f"000003.{kind}", store.folder / f"000003.{kind}")
    read, [told] = again(store)
    assert same(read, state(1))
    assert "another run" in told


def test_two_generations_that_changed_places(store):
    folder = written(store, 1, 2, 3)
    for kind in ("json", "safetensors"):
        os.replace(folder / f"000002.{kind}", folder / "x")
        os.replace(folder / f"000003.{kind}", folder / f"000002.{kind}")
        os.replace(folder / "x", folder / f"000003.{kind}")
    read, told = again(store)
    assert same(read, state(1))
    assert len(told) == 2


def test_all_damaged_is_one_clear_line(store):
    folder = written(store, 1, 2)
    for path in folder.glob("*.safetensors"):
        flip(path)
    with pytest.raises(
        UserError, match=r"no checkpoint in it is whole; start a new run with mlfound train .*config\.yaml"
    ):
        again(store)


def test_damaged_ones_do_not_push_out_good_ones(store):
    folder = written(store, 1, 2, 3)
    flip(folder / "000003.safetensors")
    after = Checkpoints(folder, store.run)
    assert after.newest(lambda text: None).facts["step"] == 2
    after.write(state(4), keep=2)
    assert files(store) == ["000002.json", "000002.safetensors", "000004.json", "000004.safetensors"]


def test_tensors_are_not_parsed_before_their_digest_is_right(store, monkeypatch):
    flip(written(store, 1) / "000001.safetensors")
    monkeypatch.setattr("mlfound.runs.checkpoints.load", lambda data: pytest.fail("parsed"))
    with pytest.raises(UserError, match="no checkpoint in it is whole"):
        again(store)


def test_files_of_others_are_left_alone(store):
    store.folder.mkdir()
    for name in ("notes.txt", "best.safetensors", "0000001.json", "٠٠٠٠٠١.json"):
        (store.folder / name).write_text("mine")
    assert again(store) == (None, [])
    store.write(state(1), keep=1)
    store.write(state(2), keep=1)
    assert files(store) == sorted(
        ["000002.json", "000002.safetensors", "notes.txt", "best.safetensors", "0000001.json", "٠٠٠٠٠١.json"]
    )
    assert same(again(store)[0], state(2))
