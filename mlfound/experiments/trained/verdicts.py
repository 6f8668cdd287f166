"""What the validation images say of a training: did it learn anything, did it overfit, and what to try instead.

Without any, what some training images say: whether it learned anything, and no more.
"""

from collections.abc import Mapping, Sequence

from torch import Tensor

from mlfound.results import Check, Result
from mlfound.stats.estimates import MIN_IMAGES, Estimate, least_above_chance, t_quantile
from mlfound.training.epochs import Epoch, averaged, by_epoch
from mlfound.training.halves import Halves
from mlfound.training.plan import Plan

# how often chance alone may look like overfitting, and like a network that has learned something
ALPHA = 0.05
MIN_RISE = 0.005  # of the loss: a smaller rise costs nothing, however sure it is
CHECK = "{} accuracy above that of the commonest class"
NO_VALIDATION = (
    "No validation set (data.split: published): nothing was chosen by one, and overfitting is not judged."
)


def overfitting(halves: Halves, epochs: Sequence[Epoch], dropout: bool = True) -> Result:
    """Whether the validation loss rose to the end: the lesson's sign, not a training loss below the validation loss.

    From the epoch that the even images choose to the last, on the odd ones; one-sided, by Student's t over the images
    or, of several networks, over the seeds: a rise counts where its 90% interval lies above 0. Where the loss of
    training images rose as well, a last step went too far, as at a constant rate they do: that is no overfitting.
    `dropout` is whether the model can have any.
    """
    if halves.epoch == epochs[-1].epoch:
        text = "No sign of overfitting: the validation loss was lowest after the last epoch."
        return Result({"overfitting": False}, findings=[text])
    odd = halves.odd.double()
    rise = Estimate.mean((halves.last_odd.double() - odd).flatten())
    half = t_quantile(rise.draws - 1, 1 - ALPHA) * rise.error if rise.draws > 1 else None
    sure, large = half is not None and rise.value > half, rise.value >= MIN_RISE * odd.mean().item()
    interval = "" if half is None else f" ± {figure(half)} (90% interval)"
    moved = (
        f"the validation loss {'rose' if rise.value >= 0 else 'fell'} by {figure(abs(rise.value))}{interval}"
    )
    sentence = f"{moved} after epoch {halves.epoch}"
    alone = halves.last_train <= halves.train
    if sure and large and alone:
        help_with = (
            "More training rows, weight decay or dropout" if dropout else "More training rows or weight decay"
        )
        found = f"Overfitting: {sentence}{gap(epochs)}. {help_with} help."
        return Result({"overfitting": True}, findings=[found])
    why = ""
    if half is None:
        why = "; too few to tell"
    elif sure:
        why = ", and so did that of training images" if large else f", by less than {MIN_RISE:.1%} of it"
    return Result({"overfitting": False}, findings=[f"No sign of overfitting: {sentence}{why}."])


def gap(epochs: Sequence[Epoch]) -> str:
    """How far the last training loss is below the validation loss, in words."""
    last = averaged(by_epoch(epochs)[-1])
    train, valid = last.train_loss, last.valid_loss
    assert valid is not None, "an overfitting that no validation image showed"
    if not 0 < train < valid:
        return f", to {figure(valid)}"
    times = format(valid / train, ".2g" if valid < 10 * train else ",.0f")
    return f", to {figure(valid)}, {times} times the training loss of {figure(train)}"


def figure(loss: float) -> str:
    """Four decimals, or three digits of what they do not show."""
    return f"{loss:.4f}" if loss == 0 or 1e-4 <= loss < 1e6 else f"{loss:.3g}"


def learned(planned: Plan, y: Tensor, right: Mapping[int, float], split: str = "validation") -> Result:
    """Whether every network is right more often than always the commonest class of the labels `y` would be.

    An exact binomial test, one-sided. More right answers than that class has would not do: where the classes are of
    one size, half of all networks that guess have them. `right` is the accuracy on this `split` by seed.
    """
    images = len(y)
    if images < MIN_IMAGES:
        return Result({})
    share = y.bincount().max().item() / images
    bound = least_above_chance(images, share, ALPHA) / images
    worst = min(right.values())
    seeds = [
        seed for seed, accuracy in right.items() if accuracy < bound - 1e-9
    ]  # the accuracies are rounded
    check = Check(CHECK.format(split), not seeds, worst, bound)
    if not seeds:
        return Result({}, checks=[check])
    whose = (
        "The network"
        if len(right) == 1
        else f"Of {len(right)} networks {len(seeds)}, first that of seed {seeds[0]},"
    )
    found = (
        f"{whose} learned nothing: {worst:.2%} of the {split} images are right, always the commonest class "
        f"makes {share:.2%} right, and chance up to {bound:.2%}. {advice(planned)}"
    )
    return Result({}, checks=[check], findings=[found])


def advice(planned: Plan, diverged: bool = False) -> str:
    """What to try where a training diverged or learned nothing."""
    if planned.init == "normal":  # each layer makes the signal larger
        return "Begin smaller: write model.init: kaiming."
    usual, lr = usual_lr(planned), planned.lr
    finder = "mlfound lr-find shows which rates this training bears"
    if diverged or lr > usual:
        return f"Lower optimizer.lr: try {min(usual, lr / 10):g}; {finder}."
    if lr < usual / 10:
        return f"Raise optimizer.lr: try {usual:g}; {finder}."
    return f"Try other settings of model and optimizer, and look at the labels; {finder}."


def usual_lr(planned: Plan) -> float:
    """A rate that suits this optimiser: its default, or for a squared error, which is steeper, the lesson's 0.005."""
    optimizer = planned.config.optimizer
    if planned.recipe.loss == "mse" and optimizer.name == "sgd":
        return 0.005 * (1 - planned.momentum)  # momentum makes a step of 1 / (1 - momentum) of them
    return float(type(optimizer).model_fields["lr"].default)
