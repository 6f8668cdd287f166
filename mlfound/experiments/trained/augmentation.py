"""The first training images, and each as an augmentation has changed it."""

from mlfound.foundations.randomness import generator
from mlfound.results import Picture, Result
from mlfound.training.inputs import Inputs
from mlfound.training.plan import Plan
from mlfound.training.rows import augmented

SHOWN = 40


def augmentation(planned: Plan, inputs: Inputs) -> Result:
    """A picture, with random numbers of its own; nothing of a training without augmentation."""
    if planned.augment is None or inputs.pixels is None:
        return Result()
    images, labels = inputs.pixels.x[:SHOWN].view(-1, *planned.image), inputs.splits.train.y[:SHOWN]
    random = generator(planned.seeds[0], "augmentation of examples", images.device)
    changed, _ = augmented(images, labels.to(images), planned.augment, random)
    data = {
        "title": f"Training {inputs.splits.noun}s, and as augmentation may change them{planned.first}",
        "images": images.cpu(),
        "changed": changed.cpu(),
        "labels": [inputs.splits.labels[number] for number in labels.tolist()],
    }
    return Result(pictures=[Picture("augmentation", "image_pairs", data)])
