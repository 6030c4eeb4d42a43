"""The section on learning: the three grokking times and how accuracy came about."""

from dataclasses import dataclass
from typing import NamedTuple

from grokhop.core.formatting import duration, plural
from grokhop.reporting.curves import curves
from grokhop.reporting.evidence import Evidence, mean_of
from grokhop.reporting.plot import Figure
from grokhop.runs.metrics import TrainSummary


class SeedRow(NamedTuple):
    """The outcome of one seed so far."""

    seed: int
    finished: bool
    summary: TrainSummary


@dataclass(frozen=True, kw_only=True)
class LearningSection:
    """The section on learning.

    Attributes:
        at_first_look: whether all times that were reached are those of a seed's first look.
    """

    heading: str
    seeds: int
    at_first_look: bool
    figure: Figure
    times: list[SeedRow]


def learning_section(evidence: Evidence) -> LearningSection | None:
    if not evidence.looks:
        return None
    untrained = str(evidence.run.settings.task.hops + 1)
    return LearningSection(
        heading=_learning_heading(evidence),
        seeds=len(evidence.looks),
        at_first_look=_at_first_look(evidence),
        figure=curves(evidence.looks, evidence.groks, untrained=untrained),
        times=[SeedRow(seed, seed not in evidence.unfinished, found) for seed, found in evidence.summaries.items()],
    )


def _learning_heading(evidence: Evidence) -> str:
    times = {
        name: [when.seconds for grok in evidence.groks.values() if (when := grok[name])] for name in ("id_95", "ood_95")
    }
    seeds = len(evidence.groks)
    if not times["ood_95"]:
        return "Out of distribution, 95 % was not reached" if evidence.held_out else "How accuracy grew"
    ood = mean_of(times["ood_95"]) or 0.0
    if len(times["ood_95"]) < seeds:
        return f"{len(times['ood_95'])} of {plural(seeds, 'seed')} reached 95 % out of distribution"
    if len(times["id_95"]) < seeds:
        return f"95 % out of distribution came after {duration(ood)}"
    id_ = mean_of(times["id_95"]) or 0.0
    if ood == id_:
        return f"95 % out of distribution came at {duration(ood)}, together with 95 % in distribution"
    order = "after" if ood > id_ else "before"
    return f"95 % out of distribution came at {duration(ood)}, {duration(abs(ood - id_))} {order} 95 % in distribution"


def _at_first_look(evidence: Evidence) -> bool:
    """Whether all times that were reached are those of a seed's first look, so that nothing tells how long it took."""
    steps = {seed: {when.steps for when in grok.values() if when} for seed, grok in evidence.groks.items()}
    return any(steps.values()) and all(found <= {evidence.looks[seed][0].step} for seed, found in steps.items())
