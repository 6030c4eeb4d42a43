"""The section on the circuit: what a model names on its way, what carries its answer, and how that came about."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from grokhop.core.errors import InputError
from grokhop.core.formatting import count, percent, plural, unbroken
from grokhop.reporting.evidence import Evidence
from grokhop.reporting.formation import FormationSection, formation_section
from grokhop.reporting.heatmaps import POSITIONS, Panel, Spot, by_head, by_position, heat_maps
from grokhop.reporting.plot import Figure
from grokhop.runs.explanation import (
    Ablation,
    Candidate,
    CarriedOver,
    CellCircuit,
    Explanation,
    Faithfulness,
    MeasureResult,
    OddAnswer,
    Patched,
    QueryCircuit,
    SeedCircuit,
)
from grokhop.runs.run import EXPLANATION

_SETS = {"id": "in distribution", "ood": "out of distribution"}
_REPLACED = ("head", "first relation", "second relation")
_PARTS = {"attention": "what attention adds", "mlp": "what the MLP adds"}
_MOST_ODD = 20


@dataclass(frozen=True, kw_only=True)
class CircuitRow:
    """A row of the table, of one seed and set; None stands for measures of too few queries."""

    seed: int
    set: str
    score: Faithfulness
    wrong: int
    carried: CarriedOver | None
    without: Ablation | None


class OddRow(NamedTuple):
    """An answer that is right for the wrong reason, and of which seed and set."""

    example: OddAnswer
    seed: int
    set: str


class QueryTable(NamedTuple):
    """A table of one query: a column for each position, a row for each depth, the deepest first."""

    circuit: QueryCircuit
    rows: list[tuple[int, list[Candidate | None]]]


@dataclass(frozen=True, kw_only=True)
class MeasuresTable:
    """Numbers of registered measures: a row for each, a column for each seed and set of queries."""

    columns: list[str]
    rows: list[tuple[str, list[float | None]]]


def _measures(measures: Sequence[MeasureResult]) -> MeasuresTable | None:
    if not measures:
        return None
    columns = list(dict.fromkeys((row.seed, row.asked) for row in measures))
    rows = []
    for measure, number in dict.fromkeys((row.measure, name) for row in measures for name in row.found):
        found = {(row.seed, row.asked): row.found.get(number) for row in measures if row.measure == measure}
        rows.append((f"{measure}: {number}", [found.get(column) for column in columns]))
    return MeasuresTable(columns=[f"seed {seed}, {asked.upper()}" for seed, asked in columns], rows=rows)


@dataclass(frozen=True, kw_only=True)
class CircuitSection:
    """The section on the circuit.

    Attributes:
        odd: answers that are right for the wrong reason; `all_odd` how many there are.
        leads: of the queries that lost their bridge, the share to whose answer the second leads too.
        missing: finished seeds that were not looked into. instead: whether `asked` is ID for want of right answers.
        read: the heading of the lens. last: the last depth; `names_last` whether it names the bridge.
    """

    heading: str
    rows: list[CircuitRow]
    odd: list[OddRow]
    all_odd: int
    leads: float | None
    seeds: int
    missing: int
    asked: str
    instead: bool
    traced: str
    read: str | None
    names_last: bool
    last: int
    measures: MeasuresTable | None
    formation: FormationSection | None
    queries: list[QueryTable]
    figures: dict[str, Figure]


def circuit_section(evidence: Evidence) -> CircuitSection | None:
    """What `grokhop explain` found; None before it has been run.

    Raises:
        InputError: its file lacks what belongs in it.
    """
    if evidence.explanation is None:
        return None
    try:
        return _section(evidence.explanation, evidence.seeds - len(evidence.unfinished))
    except (LookupError, TypeError) as error:
        file = evidence.run.path / EXPLANATION
        raise InputError(f"{file} is damaged ({error!r}): make it again with 'grokhop explain'") from error


def _section(found: Explanation, finished: int) -> CircuitSection:
    seeds, asked = found.seeds, found.asked
    cells = [seed.of(asked) for seed in seeds]
    lens = [row for cell in cells for row in cell.lens]
    last = max((row.depth for row in lens), default=0)
    formed = formation_section(found.formation, last)
    traced = any(traced.n for cell in cells for traced in cell.trace)
    figures = {
        **(_traces(cells) if traced else {}),
        **({"lens": _lens(cells)} if lens else {}),
        **({"formation": formed.figure} if formed else {}),
    }
    return CircuitSection(
        heading=_heading(_pooled(seed.ood for seed in seeds), _pooled(seed.id for seed in seeds)),
        rows=list(_rows(seeds)),
        odd=_odd(seeds)[:_MOST_ODD],
        all_odd=sum(cell.score.right - cell.score.right_and_named for seed in seeds for _, cell in _asked(seed)),
        leads=_leads(seeds),
        seeds=len(seeds),
        missing=max(0, finished - len(seeds)),
        asked=_SETS[asked],
        instead=asked == "id" and any(seed.ood.score.n for seed in seeds),
        traced=unbroken(_traced_heading(cells)),
        read=unbroken(_lens_heading(cells, last)) if lens else None,
        names_last=any((row.depth, row.position) == (last, 1) for row in lens),
        last=last,
        measures=_measures(found.measures),
        formation=formed,
        queries=[_query(query) for query in found.queries],
        figures={f"circuit-{name}": figure for name, figure in figures.items()},
    )


def _query(query: QueryCircuit) -> QueryTable:
    read = {(place.depth, place.position): place.top[0] for place in query.places}
    depths = sorted({depth for depth, _ in read}, reverse=True)
    columns = range(len(query.query))
    return QueryTable(query, [(depth, [read.get((depth, position)) for position in columns]) for depth in depths])


def _asked(seed: SeedCircuit) -> list[tuple[str, CellCircuit]]:
    """The sets of a seed that have queries, by name."""
    return [(name, seed.of(name)) for name in _SETS if seed.of(name).score.n]


def _pooled(cells: Iterable[CellCircuit]) -> Faithfulness:
    """The counts of several seeds together."""
    total = Faithfulness(n=0, right=0, right_and_named=0, named_and_wrong=0, right_for_wrong_reason=())
    for score in (cell.score for cell in cells):
        total = replace(
            total,
            n=total.n + score.n,
            right=total.right + score.right,
            right_and_named=total.right_and_named + score.right_and_named,
            named_and_wrong=total.named_and_wrong + score.named_and_wrong,
        )
    return total


def _heading(ood: Faithfulness, id_: Faithfulness) -> str:
    for score, where in ((ood, "over held-out facts"), (id_, "in distribution")):
        wrong = score.n - score.right
        if score.right:
            named = f"{count(score.right_and_named)} of {plural(score.right, 'right answer')} {where}"
            also = f", and in {count(score.named_and_wrong)} of {count(wrong)} wrong ones"
            return f"In {named} the bridge is named on the way{also if wrong > score.right else ''}"
        if score.named_and_wrong:
            start = "The second hop is missing: no" if 2 * score.named_and_wrong > wrong else "No"
            named = f"in {count(score.named_and_wrong)} of {count(wrong)} wrong ones the bridge is named"
            return f"{start} answer {where} is right; {named}"
    return "No query was answered, and no bridge was named"


def _rows(seeds: Sequence[SeedCircuit]) -> Iterator[CircuitRow]:
    """Yield a row of the table for each seed and set."""
    for seed in seeds:
        for name, cell in _asked(seed):
            yield CircuitRow(
                seed=seed.seed,
                set=name.upper(),
                score=cell.score,
                wrong=cell.score.n - cell.score.right,
                carried=cell.carried_over if cell.carried_over and cell.carried_over.n else None,
                without=cell.ablation if cell.ablation and cell.ablation.n else None,
            )


def _leads(seeds: Sequence[SeedCircuit]) -> float | None:
    """Of the queries that lost their bridge, the share to whose answer the second entity leads as well."""
    found = [cell.ablation for seed in seeds for cell in (seed.id, seed.ood) if cell.ablation]
    n = sum(ablation.n for ablation in found)
    return sum((a.second_leads_there or 0.0) * a.n for a in found) / n if n else None


def _odd(seeds: Sequence[SeedCircuit]) -> list[OddRow]:
    """Answers that are right for the wrong reason, out of distribution first."""
    return [
        OddRow(example, seed.seed, name.upper())
        for name in ("ood", "id")
        for seed in seeds
        for example in seed.of(name).score.right_for_wrong_reason
    ]


def _spots(patched: Iterable[Patched]) -> list[Spot]:
    return [Spot(place.depth, place.position, place.restored, place.head or 0) for place in patched]


def _named(cell: CellCircuit, hop: int) -> list[Spot]:
    """The probability of what a hop ends in, place by place."""
    return [Spot(row.depth, row.position, row.probability[hop]) for row in cell.lens]


def _traces(cells: Sequence[CellCircuit]) -> dict[str, Figure]:
    """The heat maps of causal tracing."""

    def maps(corrupted: int, part: str) -> list[list[Spot]]:
        return [_spots(cell.trace[corrupted].part(part)) for cell in cells if cell.trace[corrupted].n]

    def residual(corrupted: int) -> Panel:
        pairs = sum(cell.trace[corrupted].n for cell in cells)
        title = f"{_REPLACED[corrupted]}, {plural(pairs, 'pair')}"
        return by_position(title, maps(corrupted, "residual"), empty="no pair is answered rightly")

    found = {"residual": heat_maps([residual(corrupted) for corrupted in range(len(_REPLACED))])}
    if maps(0, "residual"):
        parts = [by_position(f"another head: {name}", maps(0, part)) for part, name in _PARTS.items()]
        found["parts"] = heat_maps(parts)
        found["heads"] = heat_maps([by_head("another head: single attention heads", maps(0, "heads"))])
    return found


def _traced_heading(cells: Sequence[CellCircuit]) -> str:
    maps = [_spots(cell.trace[0].residual) for cell in cells if cell.trace[0].n] if cells[0].bridge else []
    shares = by_position("", maps).shares
    best = max((place for place in shares if place[0] == 1 and place[1]), key=lambda at: shares[at], default=None)
    if best is None:
        return "Too few queries are answered rightly to trace what carries the answer"
    if shares[best] <= 0.5:
        return f"No state at relation 1 brings back more than {percent(shares[best])} of the answer"
    return f"The state at relation 1, depth {best[1]}, brings back {percent(shares[best])} of the answer"


def _lens(cells: Sequence[CellCircuit]) -> Figure:
    names = ("the bridge", "the answer")
    panels = [
        by_position(f"probability of {name}", [_named(cell, hop) for cell in cells]) for hop, name in enumerate(names)
    ]
    return heat_maps(panels)


def _lens_heading(cells: Sequence[CellCircuit], last: int) -> str:
    """Where each is named with most; the bridge before the last depth if it is told there, where it can be of use."""
    texts = []
    for hop, name in enumerate(("the bridge", "the answer")):
        shares = by_position("", [_named(cell, hop) for cell in cells]).shares
        here = {depth: share for (position, depth), share in shares.items() if position == hop + 1 and depth}
        early = {depth: share for depth, share in here.items() if depth < last} if not hop else {}
        depth, share = max((early or here or {0: 0.0}).items(), key=lambda found: found[1])
        texts.append(f"{name} is read with {percent(share)} at {POSITIONS[hop + 1]}, depth {depth}")
    return f"{texts[0][0].upper()}{texts[0][1:]}; {texts[1]}"
