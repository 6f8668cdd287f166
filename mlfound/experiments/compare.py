"""Is the difference between runs real? Settings and figures side by side, every side against the first."""

from collections.abc import Iterator, Sequence

from mlfound.config.models import CompareConfig
from mlfound.experiments.comparison.groups import Family, chosen, data_rows
from mlfound.experiments.comparison.measures import MEASURES
from mlfound.experiments.comparison.pairs import Comparison, comparisons
from mlfound.experiments.comparison.pictures import pictures
from mlfound.experiments.comparison.samples import CHANCE, Side, differing, settings, sides
from mlfound.experiments.comparison.summaries import remarks, summary_table
from mlfound.experiments.comparison.tables import (
    circumstance_table,
    comparison_table,
    figure_table,
    seed_table,
    setting_table,
)
from mlfound.experiments.comparison.verdicts import methods, sentence
from mlfound.results import Context, Result, Table


def run(config: CompareConfig, context: Context) -> Result:
    """Refuse what cannot be compared; then everything that can be known without running anything again."""
    families, notes = chosen(config, context)
    runs = [run for family in families for run in family.runs]
    facts = runs[0].facts
    result = judged(config, families, notes) if facts["command"] == "train" else beside(families[0])
    resolved = config.model_copy(update={"runs": tuple(str(run.path) for run in runs)})
    context.recorder.begin(resolved, dataset=facts.get("dataset"), compared=[run.facts["id"] for run in runs])
    context.recorder.message(f"{len(runs)} runs of {facts['command']}")
    return result


def beside(family: Family) -> Result:
    """The result for runs that have one value of every figure."""
    every = sides("", family.labels, family.groups)
    return Result(
        {"runs": len(every)},
        findings=list(remarks(every[0].runs[0].facts["command"])),
        tables=[*differences(every), summary_table(every)],
    )


def judged(config: CompareConfig, families: Sequence[Family], notes: Sequence[str]) -> Result:
    """The result for runs whose figures have a value a seed."""
    made = comparisons(families, config.metric)
    measure = MEASURES[config.metric]
    worth = config.difference or measure.worth
    rows = data_rows(families[0].runs[0])
    every = list({id(side): side for each in made for side in (each.first, each.second)}.values())
    differ = differences(every)
    return Result(
        metrics=metrics(made, config.metric),
        findings=[
            *(sentence(each, measure, worth, rows) for each in made),
            *methods(made),
            *cautions(differ, made),
            *notes,
        ],
        tables=[
            *differ,
            figure_table(every, config.metric),
            comparison_table(made, measure, worth),
            seed_table(every),
        ],
        pictures=list(pictures(made, config.metric)),
    )


def metrics(made: Sequence[Comparison], metric: str) -> dict[str, float | int]:
    """How many differences were seen; of a single comparison its numbers, in the figure's own unit."""
    found: dict[str, float | int | None] = {
        "comparisons": len(made),
        "differences_seen": sum(each.seen for each in made),
    }
    if len(made) == 1:
        [only] = made
        low, high = only.interval
        found |= {
            f"{metric}_difference": only.effect.difference,
            f"{metric}_difference_low": low,
            f"{metric}_difference_high": high,
            "p": only.p,
            "sign_flips_p": only.effect.flips_p,
            "seeds": min(only.effect.seeds),
        }
    return {name: value for name, value in found.items() if value is not None}


def differences(every: Sequence[Side]) -> list[Table]:
    """What else than chance may have made a difference, where there is something."""
    return [table for table in (setting_table(every), circumstance_table(every)) if table.rows]


def cautions(differ: Sequence[Table], made: Sequence[Comparison]) -> Iterator[str]:
    """What a reader might overlook."""
    for each in made:
        pair = (each.first.runs[0], each.second.runs[0])
        keys = differing([settings(run) for run in pair], besides=CHANCE)
        if pair[0].path == pair[1].path:
            yield f"{each.first.title} and {each.second.title} are the same run."
        elif not keys:
            yield f"{each.first.title} and {each.second.title} have the same settings, but for the seeds."
        elif len(keys) > 1:
            yield f"{each.second.title} differs in {len(keys)} settings, {', '.join(keys)}: it may be any."
    for table in differ:
        if table.name == "environment":
            names = [row[0] for row in table.rows]
            yield f"Not run alike: {', '.join(names)} differ{'s' * (len(names) == 1)}."
