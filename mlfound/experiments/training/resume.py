"""May a training go on from a checkpoint? Only where it will end as if it had never stopped."""

from collections.abc import Mapping
from typing import Any

from mlfound.config.documents import flat
from mlfound.config.training import TrainConfig
from mlfound.errors import UserError
from mlfound.experiments.inputs import Inputs
from mlfound.results import Context

# Rounding differs between versions, and so may the numbers that a seed gives.
SAME_PACKAGES = ("mlfound", "torch")


def refuse_changes(config: TrainConfig, inputs: Inputs, context: Context) -> None:
    """A UserError that says what differs from when the checkpoint was written, and what to do."""
    resumed = context.resumed
    assert resumed is not None, "nothing to go on from"
    now, then = inputs.facts["digest"], resumed.facts["dataset"]["digest"]
    if now != then:
        raise UserError(
            f"the data is not what this run was begun with (digest {now[:12]}, then {then[:12]})",
            key="data.dataset",
        )
    refuse_packages(resumed.facts["environment"]["packages"], context.environment["packages"])
    if resumed.checkpoint is not None:
        has, had = config.model_dump(mode="json"), resumed.checkpoint.facts["config"]
        refuse_keys(dict(flat(has)), dict(flat(had)), config)
    cpu, then = context.environment["cpu"], resumed.facts["environment"]["cpu"]
    if cpu != then:
        context.recorder.message(f"This is another CPU ({cpu}, then {then}): the last bits may differ.")


def refuse_packages(had: Mapping[str, str], has: Mapping[str, str]) -> None:
    """Other versions would give other bits."""
    for name in SAME_PACKAGES:
        if had[name] != has[name]:
            raise UserError(
                f"{name} is {has[name]}, and the run was begun with {had[name]}; install that version, "
                "or start a new run with its config.yaml"
            )


def refuse_keys(has: Mapping[str, Any], had: Mapping[str, Any], config: TrainConfig) -> None:
    """The config must be the checkpoint's, but for what does not touch the numbers, and for more epochs."""
    changed = [key for key in has if has[key] != had.get(key) and not key.startswith("checkpoint.")]
    for key in changed:
        if key != "epochs":
            message = f"{has[key]} where the checkpoint has {had.get(key)}: a resumed run cannot change it"
            raise UserError(f"{message}; leave it out, or start a new run", key=key)
        if config.schedule != "constant":
            raise UserError(
                f"the steps so far followed the schedule {config.schedule} over {had[key]} epochs; "
                "only a constant schedule can be trained further",
                key=key,
            )
        if has[key] < had[key]:
            raise UserError(f"this run was to have {had[key]} epochs; write more", key=key)
