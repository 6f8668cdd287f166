"""Training on augmented images: what it leaves, what it changes and what not, and what it refuses."""

from pathlib import Path

import pytest

from tests.experiments.test_train_images import own_images
from tests.support.commands import refused, refused_at_once

QUICK = ("train", "data.dataset=mnist-sample", "epochs=1", "threads=1")


@pytest.mark.slow
def test_it_shows_forty_images_before_and_after(mlfound):
    outcome = mlfound(*QUICK, "augment={shift: 2, rotate: 10}")
    assert outcome.code == 0, outcome
    assert (outcome.path / "plots" / "augmentation.png").is_file()
    assert "Pairs of images, each as it was" in outcome.json("summary.json")["pictures"]["augmentation"]


def test_only_the_training_images_are_changed(mlfound, tmp_path):
    """With next to no steps: what is evaluated are the first weights, with and without augmentation."""
    still = (*QUICK, "--no-plots", "optimizer.lr=1e-12", "optimizer.weight_decay=0")
    plain, changed = mlfound(*still), mlfound(*still, "augment.elastic=34")
    names = ("valid_loss", "test_loss", "train_loss")
    one, other = (
        {name: each.json("summary.json")["metrics"][name] for name in names} for each in (plain, changed)
    )
    assert one["valid_loss"] == pytest.approx(other["valid_loss"], rel=1e-6)
    assert one["test_loss"] == pytest.approx(other["test_loss"], rel=1e-6)
    assert one["train_loss"] != pytest.approx(other["train_loss"], rel=1e-3)


def test_images_that_are_no_squares_are_rotated_too(mlfound):
    own_images(Path("own"), (9, 12))
    options = ("train", "--no-plots", "data.dataset=./own", "model.outputs=3", "epochs=1", "batch_size=8")
    refused_at_once(mlfound(*options, "augment.shift=9"), "augment.shift", "9 x 12 images; write 8 or less")
    assert mlfound(*options, "augment={rotate: 45, shift: 8, elastic: 3, mixup: 0.2}").code in (0, 1)


def test_the_learning_rate_is_found_on_augmented_images(mlfound):
    find = ("lr-find", "--no-plots", "data.dataset=mnist-sample", "steps=20", "threads=1")
    plain, changed = mlfound(*find), mlfound(*find, "augment.shift=5")
    first = [float(each.rows("lr_find")[0]["loss"]) for each in (plain, changed)]
    assert first[0] != first[1]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("augment={shift: -1}", ["augment.shift", "a whole number of pixels, 0 or more"]),
        ("augment={shift: 1.5}", ["augment.shift", "a whole number of pixels"]),
        ("augment={rotate: -1}", ["augment.rotate", "degrees from 0 to 180"]),
        ("augment={scale: 1}", ["augment.scale", "a fraction from 0 to below 1"]),
        ("augment={shear: -0.1}", ["augment.shear", "0 or more"]),
        ("augment={elastic: -34}", ["augment.elastic", "0 or more"]),
        ("augment={elastic: 34, sigma: 0}", ["augment.sigma", "a number above 0"]),
        ("augment={erase: 1.5}", ["augment.erase", "a fraction from 0 to 1"]),
        ("augment={mixup: -1}", ["augment.mixup", "0 or more"]),
        ("augment={}", ["augment.shift", "nothing is above 0", "or null"]),
        ("augment={sigma: 3}", ["augment.sigma", "nothing is above 0", "or null"]),
        ("augment={rotat: 3}", ["unknown key 'augment.rotat'; did you mean 'augment.rotate'?"]),
        ("augment=true", ["augment: true is not valid", "{shift: 2, rotate: 10}"]),
    ],
)
def test_what_it_refuses(mlfound, setting, words):
    refused(mlfound(*QUICK, setting), *words)
