"""The TensorBoard export, read back: records checked by their CRC, events by tensorboardX's own protocol buffers."""

import json
import math
import shutil
import struct
import sys
from datetime import datetime
from pathlib import Path

import pytest

pytest.importorskip("tensorboardX", reason="needs the extra [tensorboard]")

from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

from tests.support import commands
from tests.support.commands import refused
from tests.support.run_folders import make_run

QUICK = ("--set", "data.dataset=mnist-sample", "--set", "epochs=2", "--quiet")


def crc32c(data):
    """Castagnoli's, bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(content):
    """A TFRecord file: length, its CRC, data, its CRC."""
    while content:
        [length] = struct.unpack("<Q", content[:8])
        data = content[12 : 12 + length]
        checks = struct.unpack("<I", content[8:12]) + struct.unpack("<I", content[12 + length : 16 + length])
        assert checks == (masked(content[:8]), masked(data))
        content = content[16 + length :]
        yield data


def events(folder):
    [file] = [path for path in folder.iterdir() if path.is_file()]
    first, *others = [Event.FromString(data) for data in records(file.read_bytes())]
    assert first.file_version == "brain.Event:2"
    return others


def scalars(folder):
    """Tag: [(step, value)]."""
    found = {}
    for event in events(folder):
        for value in event.summary.value:
            if value.HasField("simple_value"):
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run folder with pictures, which no test changes."""
    runs = tmp_path_factory.mktemp("trained")
    return commands.mlfound("train", *QUICK, "--runs-dir", runs).path


@pytest.fixture
def run(trained):
    """A copy of it, the latest run of the test's own folder."""
    copy = Path("runs", trained.name)
    shutil.copytree(trained, copy)
    Path("runs", "latest").symlink_to(trained.name)
    return copy


def test_crc32c_is_the_right_one():
    assert crc32c(b"123456789") == 0xE3069283


def test_a_training_run_read_back(mlfound, run):
    outcome = mlfound("runs", "export", "latest", "--tensorboard", "logs/new")
    assert (outcome.code, outcome.err) == (0, ""), outcome
    place = Path(outcome.out.strip())
    assert place == Path("logs/new") / run.name
    assert [path.name for path in Path("logs/new").iterdir()] == [run.name], "nothing else is left there"

    found = scalars(place)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for name in ("train_loss", "valid_loss", "valid_accuracy", "lr"):
        wanted = [(row["epoch"], pytest.approx(row[name], rel=1e-6)) for row in rows]
        assert found[name] == wanted, name
    metrics = json.loads((run / "summary.json").read_text())["metrics"]
    assert found["final/test_accuracy"] == [(0, pytest.approx(metrics["test_accuracy"], rel=1e-6))]
    assert found["final/overfitting"] == [(0, float(metrics["overfitting"]))], "a verdict is 0 or 1"
    assert {"epoch", "seed"}.isdisjoint(found)


def test_pictures_are_the_same_bytes(mlfound, run):
    mlfound("runs", "export", run, "--tensorboard", "logs")
    images = {
        value.tag: value.image
        for event in events(Path("logs") / run.name)
        for value in event.summary.value
        if value.HasField("image")
    }
    plots = {path.stem: path.read_bytes() for path in (run / "plots").glob("*.png")}
    assert {tag: image.encoded_image_string for tag, image in images.items()} == plots
    assert {image.width for image in images.values()} == {1170}
    assert all(image.height > 100 for image in images.values())


def test_hyperparameters_lead_to_the_final_figures(mlfound, run):
    mlfound("runs", "export", run, "--tensorboard", "logs")
    data = {
        value.tag: HParamsPluginData.FromString(value.metadata.plugin_data.content)
        for event in events(Path("logs") / run.name)
        for value in event.summary.value
        if value.metadata.plugin_data.plugin_name == "hparams"
    }
    start = data["_hparams_/session_start_info"].session_start_info.hparams
    assert start["optimizer.lr"].number_value == 0.1
    assert start["model.hidden"].string_value == "[50]"
    assert start["optimizer.nesterov"].bool_value is False
    assert start["loss"].string_value == "cross-entropy"
    assert "data.train_rows" not in start, "null"
    named = {info.name.tag for info in data["_hparams_/experiment"].experiment.metric_infos}
    assert "final/test_accuracy" in named
    assert named <= set(scalars(Path("logs") / run.name))


def test_time_goes_on_from_the_start_of_the_run(mlfound, run):
    mlfound("runs", "export", run, "--tensorboard", "logs")
    facts = json.loads((run / "run.json").read_text())
    began, ended = (datetime.fromisoformat(facts[key]).timestamp() for key in ("start", "end"))
    times = {event.step: event.wall_time for event in events(Path("logs") / run.name) if event.step}
    assert began < times[1] < times[2] <= ended


def test_several_seeds_have_a_folder_each(mlfound, run):
    rows = [
        {"epoch": epoch, "seed": seed, "valid_loss": seed / 8 + epoch, "train_seconds": 1.0}
        for epoch in (1, 2)
        for seed in (3, 4)
    ]
    (run / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows) + '{"epoch": 3, "see')
    assert mlfound("runs", "export", run, "--tensorboard", "logs").code == 0
    place = Path("logs") / run.name
    assert {path.name for path in place.iterdir() if path.is_dir()} == {"seed-3", "seed-4"}
    assert scalars(place / "seed-4")["valid_loss"] == [(1, 1.5), (2, 2.5)]
    assert "valid_loss" not in scalars(place)


def test_a_run_that_diverged_or_broke_off(mlfound):
    outcome = mlfound("train", *QUICK[:-1], "--set", "optimizer.lr=1e6", "--set", "schedule=constant")
    exported = mlfound("runs", "export", outcome.path, "--tensorboard", "logs")
    assert exported.code == 0, exported
    broken = outcome.path
    for name in ("summary.json", "metrics.jsonl"):
        (broken / name).unlink(missing_ok=True)
    exported = mlfound("runs", "export", broken, "--tensorboard", "other")
    assert exported.code == 0, exported
    assert scalars(Path("other") / broken.name) == {}


def test_a_run_without_epochs(mlfound):
    path = Path(mlfound("download", "--dataset", "mnist-sample", "--quiet").out.strip())
    assert mlfound("runs", "export", path, "--tensorboard", "logs").code == 0
    assert all(tag.startswith("final/") for tag in scalars(Path("logs") / path.name))


def test_bad_input(mlfound, run):
    export = ("runs", "export", run, "--tensorboard")
    Path("file").touch()
    refused(mlfound(*export, "file"), "--tensorboard file", "cannot be written to")
    refused(mlfound(*export, "file/below"), "--tensorboard file/below", "cannot be written to")
    refused(mlfound(*export, run / "logs"), "lies in the run folder")
    refused(mlfound(*export, run), "lies in the run folder")
    refused(mlfound(*export, run.parent), "is there already")
    assert mlfound(*export, "logs").code == 0
    refused(mlfound(*export, "logs"), "--tensorboard logs", "is there already", "name another")
    refused(mlfound("runs", "export", "nothing", "--tensorboard", "x"), "nothing: no such run")
    (run / "config.yaml").write_text("seed: [")
    refused(mlfound(*export, "x"), "config.yaml:1")
    (run / "run.json").write_text("{")
    refused(mlfound(*export, "x"), "run.json", "damaged")
    assert not Path("x").exists()


def test_numbers_that_no_event_file_can_hold(mlfound):
    path = make_run(
        Path("runs"), "odd", summary={"metrics": {"loss": 10**400, "large": 10**300, "nan": math.nan}}
    )
    rows = [{"epoch": 10**30, "loss": 10**400, "valid_loss": 0.5}, {"epoch": 1e300, "valid_loss": 1e300}]
    (path / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    outcome = mlfound("runs", "export", path, "--tensorboard", "logs")
    assert outcome.code == 0, outcome.err
    assert scalars(Path("logs/odd"))["valid_loss"] == [(1, 0.5), (2, math.inf)]
    for command in (["runs"], ["runs", "show", path], ["runs", "--json"], ["report", path]):
        assert mlfound(*command).code == 0


def test_without_the_extra(mlfound, run, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    refused(mlfound("runs", "export", run, "--tensorboard", "logs"), "pip install 'mlfound[tensorboard]'")
    assert not Path("logs").exists()


def test_a_disk_that_fails_leaves_nothing(mlfound, run, monkeypatch):
    from mlfound.runs import tensorboard

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tensorboard, "add_curves", full)
    refused(mlfound("runs", "export", run, "--tensorboard", "logs"), "No space left on device")
    assert not list(Path("logs").iterdir())
