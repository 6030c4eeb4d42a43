"""The answer at a glance: from which phi on each contender generalises, what is missing, and under which conditions."""

from typing import Any, NamedTuple

from grokhop.core.formatting import percent, plural
from grokhop.reporting.conditions import conditions
from grokhop.reporting.headline import ENOUGH
from grokhop.reporting.sweep.evidence import SweepEvidence, level_name
from grokhop.runs.metrics import ENOUGH_OOD_QUERIES
from grokhop.runs.sweep_result import SweepRow

_WORDS = {"id": "in distribution", "ood": "out of distribution"}


def verdict(evidence: SweepEvidence) -> str:
    """From which phi on each contender reaches 95 % out of distribution."""
    if not evidence.rows:
        return "No level of phi has been asked the test queries yet."
    measured = [name for name in _WORDS if any(row.score(name).n for _, row in evidence.rows)]
    if not measured:
        return "Nothing that was asked tells how well any level generalises."
    if not evidence.few:
        return f"95 % {_WORDS[measured[-1]]}: {_reached(evidence, measured[-1])}; {_of_seeds(evidence)}."
    several = len(evidence.contenders) > 1
    texts = [
        f"{f'{contender} ' if several else ''}{reach(evidence.of_contender(contender), measured[-1])}"
        for contender in evidence.contenders
    ]
    return f"95 % {_WORDS[measured[-1]]}: {'; '.join(texts)}; {_of_seeds(evidence)}."


def _of_seeds(evidence: SweepEvidence) -> str:
    seeds = len(evidence.sweep.seeds)
    return f"mean of {seeds} seeds" if seeds > 1 else "one seed"


def _reached(evidence: SweepEvidence, name: str) -> str:
    """How many of many contenders got there, and which from the lowest phi on."""
    enough = [(row.phi, contender) for contender, row in evidence.rows if (row.score(name).accuracy or 0) >= ENOUGH]
    if not enough:
        return f"none of {len(evidence.contenders)} contenders at any phi"
    least = min(phi for phi, _ in enough)
    first = [contender for phi, contender in enough if phi == least]
    who = first[0] if len(first) == 1 else f"{len(first)} of them"
    number = len({contender for _, contender in enough})
    return f"{number} of {len(evidence.contenders)} contenders, {who} from phi {least:.3g} on"


def reach(rows: list[SweepRow], name: str) -> str:
    """'from phi 2 on', 'first at phi 2, but not at 3.6', or 'at no phi up to 8'."""
    enough = [row for row in rows if (row.score(name).accuracy or 0) >= ENOUGH]
    if not rows:
        return "was not measured"
    if not enough:
        return f"at no phi up to {level_name(rows[-1])}"
    after = [row for row in rows[rows.index(enough[0]) :] if row not in enough]
    if after:
        return f"first at phi {level_name(enough[0])}, but not at {', '.join(level_name(row) for row in after)}"
    if enough == rows and len(rows) > 1:
        return f"at every phi from {level_name(rows[0])} to {level_name(rows[-1])}"
    return f"from phi {level_name(enough[0])} on"


def notes(evidence: SweepEvidence) -> list[str]:
    """What is missing or weak, with what mends it."""
    found = []
    for failure in evidence.result.failed:
        found.append(f"{failure.contender}, phi {failure.level}, {failure.what} failed: {failure.error}")
    if found:
        found.append("'grokhop sweep ... --resume' tries again what failed.")
    asked = {(contender, row.level) for contender, row in evidence.rows}
    lost = [str(place) for place in evidence.sweep.places if (place.contender, place.level) not in asked]
    if lost:
        found.append(f"No seed has ended: {'; '.join(lost)}.")
    fewest = min((row.ood.n for _, row in evidence.rows), default=ENOUGH_OOD_QUERIES)
    if not fewest:
        found.append("No fact was held out of the training chains, so nothing here was asked out of distribution.")
    elif fewest < ENOUGH_OOD_QUERIES:
        found.append(f"Out of distribution only {fewest} were asked of each seed: the intervals are wide.")
    return found


class Tile(NamedTuple):
    """A number at the head of the page; `kind` colours it."""

    name: str
    value: str
    kind: str
    note: str


def tiles(evidence: SweepEvidence) -> list[Tile]:
    """Of each contender the smallest phi that was enough, in and out of distribution."""
    found = []
    for contender in evidence.contenders:
        rows = evidence.of_contender(contender)
        for name, words in _WORDS.items():
            least = next((row for row in rows if (row.score(name).accuracy or 0) >= ENOUGH), None)
            best = max(rows, key=lambda row: row.score(name).accuracy or 0, default=None)
            value = "not reached" if least is None else f"phi {level_name(least)}"
            note = "" if best is None or not best.score(name).n else _best(best, name, least)
            found.append(Tile(evidence.named(f"95 % {words}", contender), value, name, note))
    return found


def _best(best: SweepRow, name: str, least: SweepRow | None) -> str:
    score = (least or best).score(name)
    at = "" if least else f"best: phi {level_name(best)}, "
    return f"{at}{percent(score.accuracy)} of {score.n:,}"


def facts(evidence: SweepEvidence) -> list[tuple[str, Any]]:
    """What a reader must know to compare this sweep with another."""
    manifest, of_run = evidence.sweep.manifest, dict(conditions(evidence.first))
    models = [
        f"{name}: {', '.join(settings.model.words())}; chains of up to {settings.task.hops} hops"
        for name, settings in evidence.sweep.settings.items()
    ]
    budget, jobs = manifest["per_seed"], manifest["jobs"]
    training = [
        plural(len(evidence.sweep.seeds), "seed"),
        f"budget {budget} each",
        "one thread each",
        f"{jobs} at once" if jobs > 1 else "one after the other",
        *(["with " + ", ".join(manifest["changes"])] if manifest["changes"] else []),
    ]
    hardware = manifest["hardware"]
    return [
        ("Graph", of_run["Graph"]),
        ("Hold-out", of_run["Hold-out"]),
        ("Levels", f"phi {', '.join(evidence.sweep.levels)}"),
        *(("Contender" if len(models) == 1 else f"Contender {i}", text) for i, text in enumerate(models, 1)),
        ("Training", ", ".join(training)),
        ("Hardware", f"{hardware['processor']}, {plural(hardware['cores'], 'core')}; {hardware['system']}"),
        ("Date", manifest["created"].replace("T", " ").replace("+00:00", " UTC")),
        ("Versions", ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())),
    ]
