"""What the page of a run says first: what was measured on what, and the settings that are not the defaults."""

from collections.abc import Callable

from mlfound.config.documents import flat
from mlfound.config.models import usual
from mlfound.report.figures import figure, words
from mlfound.runs.columns import data, model, seeds, text
from mlfound.runs.listing import NOTHING
from mlfound.runs.reader import Run, at

DATASETS = {"mnist": "MNIST", "mnist-sample": "the MNIST sample", "fashion-mnist": "Fashion-MNIST"}


def title(run: Run) -> str:
    """In a line, as `784-50-10 on MNIST, seed 0: 97.96%`; of a command that is not known, the run's id."""
    return TITLES[run.command](run) if run.command in TITLES else run.id


def changed(run: Run) -> list[tuple[str, str, str]] | None:
    """Key, value and default of each setting that is not the default; None where the config cannot be read.

    A default of `auto` is left out: the config says what it came to, which is not the user's choice.
    """
    kinds, ours = (usual(run.command, config) for config in ({}, run.config))
    if not (kinds and run.config):
        return None
    defaults = {
        key: (kinds if key.endswith(".name") else ours).get(key, NOTHING) for key, _ in flat(run.config)
    }
    rows = [(key, text(value), text(defaults[key])) for key, value in flat(run.config)]
    return [(key, value, default) for key, value, default in rows if value != default != "auto"]


def train(run: Run) -> str:
    accuracy, trained = run.metrics.get("test_accuracy"), _on_data(_network(run), run)
    says = "" if accuracy is None else f": {figure('test_accuracy', accuracy)}"
    found = run.facts.get("seeds")
    if isinstance(found, list) and len(found) > 1:
        return f"{trained}{says}, mean of {len(found)} seeds" if says else f"{trained}, {len(found)} seeds"
    return f"{trained}, seed {seeds(run)}{says}"


def lr_find(run: Run) -> str:
    found = run.metrics.get("tenth_of_minimum_lr")
    says = f": {found:.2g}" if found is not None else ""
    return f"Learning rate for {_on_data(_network(run), run)}{says}"


def init_stats(run: Run) -> str:
    of = f" of {_network(run)}" if run.config.get("model") else ""
    return _on_data(f"Signal and gradient{of} by initialisation", run)


def matmul_bench(run: Run) -> str:
    shapes = run.config.get("shape")
    which = ", ".join(map(str, shapes)) if isinstance(shapes, list) else ""
    return f"Matrix multiplication {which}, {at(run.config, 'dtype')}, {_machine(run)}"


def conv_bench(run: Run) -> str:
    layers = run.config.get("shape")
    which = ", ".join(map(str, layers)) if isinstance(layers, list) else ""
    return f"Convolution {which}, {at(run.config, 'dtype')}, {_machine(run)}"


def backprop_bench(run: Run) -> str:
    if run.config.get("check_only"):
        return "Gradients by hand against autograd"
    what = "A training step" if run.config.get("workload") == "step" else "Forward and backward by hand"
    return f"{_on_data(what, run)}, {_machine(run)}"


def compare(run: Run) -> str:
    runs, group = run.facts.get("compared"), run.config.get("group")
    names = list(map(str, runs)) if isinstance(runs, list) else []
    what = words(str(at(run.config, "metric"))).replace("valid", "validation").capitalize()
    if group:
        return f"{what} by {group}, {len(names)} runs"
    return f"{what} of {' and '.join(names) if len(names) == 2 else f'{len(names)} runs'}"


def notebook_test(run: Run) -> str:
    notebooks = run.facts.get("notebooks")
    names = list(map(str, notebooks)) if isinstance(notebooks, dict) else []
    return f"Test of {names[0] if len(names) == 1 else f'{len(names)} notebooks'}"


def sweep(run: Run) -> str:
    vary = at(run.config, "vary")
    keys = [key for key, _ in flat(vary)] if isinstance(vary, dict) else []
    by = f" by {' and '.join(keys)}" if keys else ""
    return f"Sweep of {run.config.get('command')}{by}, {run.facts.get('cells')} cells"


def remedies(run: Run) -> str:
    return f"Remedies against overfitting on {_data(run)}, {run.facts.get('cells')} cells"


TITLES: dict[str | None, Callable[[Run], str]] = {
    "train": train,
    "lr-find": lr_find,
    "init-stats": init_stats,
    "matmul-bench": matmul_bench,
    "conv-bench": conv_bench,
    "backprop-bench": backprop_bench,
    "normalize-check": lambda run: f"Pixels of {_data(run)} before and after normalising",
    "compare": compare,
    "download": lambda run: f"Files of {_data(run)}",
    "notebook-test": notebook_test,
    "sweep": sweep,
    "remedies": remedies,
}


def _network(run: Run) -> str:
    """`784-50-10`, `cnn 8-16-10`; of an older run the kind of the model and its hidden layers."""
    return str(run.facts.get("network") or model(run) or "a network")


def _on_data(what: str, run: Run) -> str:
    return f"{what} on {_data(run)}" if data(run) else what


def _data(run: Run) -> str:
    return DATASETS.get(data(run), data(run))


def _machine(run: Run) -> str:
    threads = run.facts.get("threads")
    return f"{run.facts.get('device')}, {threads} thread{'s' * (threads != 1)}"
