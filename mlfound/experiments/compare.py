"""Is the difference between runs real? Settings and figures side by side, every side against the first."""

from mlfound.config.models import CompareConfig
from mlfound.experiments.comparison import figures, metrics, seeds, settings, verdicts
from mlfound.experiments.comparison.comparisons import compare
from mlfound.experiments.comparison.families import chosen
from mlfound.experiments.comparison.figures import MEASURES
from mlfound.experiments.comparison.methods import methods
from mlfound.results import Context, Result


def run(config: CompareConfig, context: Context) -> Result:
    """Refuse what cannot be compared; then everything that can be known without running anything again."""
    families, notes = chosen(config, context)
    sides = [side for family in families for side in family]
    runs = [run for side in sides for run in side.runs]
    facts = runs[0].facts
    context.recorder.message(f"{len(runs)} runs of {facts['command']}")
    result = settings.run(sides)
    if facts["command"] == "train":
        measure = MEASURES[config.metric]
        comparisons = compare(families, measure, config.difference or measure.minimum)
        result += verdicts.run(comparisons) + metrics.run(comparisons)
        result += figures.run(sides, measure) + seeds.run(families, comparisons, measure)
        result += Result(findings=[*settings.cautions(comparisons, sides), *methods(comparisons), *notes])
    else:
        result += figures.without_seeds(sides)
    resolved = config.model_copy(update={"runs": tuple(str(run.path) for run in runs)})
    context.recorder.begin(resolved, dataset=facts.get("dataset"), compared=[run.facts["id"] for run in runs])
    return result.ranked(f"{config.metric}_difference", "p", "seeds", "differences_seen", "disagreements")
