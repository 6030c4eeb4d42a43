"""What people see of answers: cells and questions scored, one answer hop by hop, baselines beside a run."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from grokhop.core.formatting import percent
from grokhop.core.statistics import CellScore
from grokhop.runs.baselines import BaselineResult, BaselinesResult, BlindScore, ModelScores, Scored
from grokhop.runs.evaluation import EvalResult, FileResult, QuestionScore

if TYPE_CHECKING:
    from grokhop.inference.ask import Answer

from grokhop.cli.console import controlled, out, plain_table, short

TABLE_COLUMNS = 8
"""Of a table with headings in two lines, so that it has room on 80 columns."""
_HEADS = {
    "compositional": "compose",
    "inference": "infer",
    "comparison": "compare",
    "bridge_comparison": "bridge",
    "ood": "OOD",
    "id": "ID",
    "validation": "valid.",
    "never_composed": "never",
}
_FLOORS = """\
floor: right without following a fact, by the best of three guesses: the commonest
tail of the last relation, the commonest end of the last two, or the head again"""

Contender = ModelScores | BaselineResult
"""Whose scores stand side by side."""


def show_evaluation(result: EvalResult) -> None:
    """The cells, facts on their own, and the graph's questions."""
    seeds = result.seeds
    title = f"test accuracy, {'one seed' if seeds == 1 else f'mean of {seeds} seeds'}, 95 % interval"
    names = ("accuracy", "floor", *result.controls, "low", "high", "std", "n")
    table = plain_table(controlled(title, result.control), "queries", names)
    alone = [found.atomic.accuracy for found in result.controls.values()]
    _add_score(table, "1 hop", "all", result.atomic, None, alone)
    _add_score(table, "1 hop", "held out", result.atomic_held_out, None, [None] * len(alone))
    for hops, cells in result.cells.items():
        for cell, score in cells.items():
            floor = result.floors.get(hops, {}).get(cell)
            name = cell if hops == "2" else f"{cell} held out"
            beside = [found.cells[hops][cell].accuracy for found in result.controls.values()]
            _add_score(table, f"{hops} hops", name, score, floor.highest if floor else None, beside)
    for cell, compared in result.comparison.items():
        if compared.score.n:
            _add_score(table, "comparisons", cell, compared.score, compared.majority, [None] * len(alone))
    out.print(table)
    if result.floors:
        out.print(_FLOORS, style="dim", soft_wrap=True)
    if result.questions:
        show_questions(result)


def show_questions(result: EvalResult | FileResult) -> None:
    """Questions by type and cell as the benchmark scores them, and those out of distribution that were missed."""
    names = ("EM", "low", "high", "F1", "evidence F1", "baseline", "n")
    title = f"questions, {percent(result.parsed)} parsed"
    table = plain_table(controlled(title, result.control), "type", names)
    for kind, cells in result.questions.items():
        for cell, found in cells.items():
            score = found.score
            shares = (score.accuracy, score.low, score.high, found.f1, found.evidence_f1, found.baseline)
            table.add_row(f"{kind}, {cell}", *map(percent, shares), f"{score.n:,}")
    out.print(table)
    missed = [cells["ood"].misses or () for cells in result.questions.values() if "ood" in cells]
    for miss in (miss for misses in missed for miss in misses):
        out.print(f"missed (seed {miss.seed}): {miss.question} {miss.cause}", markup=False, soft_wrap=True)


def _add_score(
    table: Table, name: str, cell: str, score: CellScore, floor: float | None, controls: Sequence[float | None]
) -> None:
    shares = (score.accuracy, floor, *controls, score.low, score.high, score.spread)
    table.add_row(f"{name}, {cell}", *map(percent, shares), f"{score.n:,}")


def show_answer(result: "Answer") -> None:
    """What was understood, the hops, the answer and what the graph says."""
    out.print(f"parsed: {result.understood}", markup=False, soft_wrap=True)
    for name in result.linked:
        if name.how != "exact":
            out.print(f"  {name.name}: taken for {name.entity} ({name.how})", markup=False, soft_wrap=True)
    names = ("hop", "read out", "probability")
    table = plain_table(controlled("hop by hop", result.control), "relation", names)
    for hop in result.hops:
        table.add_row(short(hop.relation), str(hop.loop), short(hop.entity), percent(hop.probability))
    out.print(table)
    answer = f"answer: {result.answer} ({percent(result.probability)})"
    out.print(answer, style="bold", markup=False, soft_wrap=True)
    for line in _what_the_graph_says(result):
        out.print(line, markup=False, soft_wrap=True)


def _what_the_graph_says(result: "Answer") -> Iterator[str]:
    longest = max(hop.loop for hop in result.hops)
    if result.compared is None and longest > result.trained_hops:
        yield f"chains of more than {result.trained_hops} hops were not trained"
    made = "" if result.observed else ", some of them added by an augmentation"
    if not result.in_graph:
        yield "no facts of the graph answer this"
    elif result.compared is None:
        yield f"facts of the graph{made} say: {', '.join(result.expected)}"
    else:
        yield f"the facts behind it are in the graph{made}: {' and '.join(map(', '.join, result.compared))}"


def show_baselines(result: BaselinesResult) -> None:
    """The accuracies of the run's models and of each baseline, and what the baselines could not be asked or answer."""
    contenders: dict[str, Contender] = {**({"model": result.model} if result.model else {}), **result.baselines}
    control = result.model.control if result.model else None
    out.print(controlled("exact answers; n is of the rows below it", control), style="italic")
    for kind in ("questions", "cells"):
        asked = dict.fromkeys(column for found in result.baselines.values() for column in _asked_of(found, kind))
        columns = sorted(asked, key=lambda column: column[1] in ("mixed", "validation", "unknown"))
        for start in range(0, len(columns), TABLE_COLUMNS):
            out.print(_contenders_table(contenders, kind, columns[start : start + TABLE_COLUMNS]))
    for name, baseline in result.baselines.items():
        for line in _baseline_notes(baseline):
            out.print(f"{name}: {line}", markup=False, soft_wrap=True)


def _scores_of(contender: Contender, kind: str) -> Mapping[str, Mapping[str, Scored]]:
    """The scores of questions by type and cell, or of queries by hops and cell."""
    return (contender.questions if kind == "questions" else contender.cells) or {}


def _cell_score(found: Scored) -> CellScore:
    return found if isinstance(found, CellScore) else found.score


def _asked_of(baseline: BaselineResult, kind: str) -> Iterator[tuple[str, str]]:
    """Questions by type and cell, out of distribution first, or queries by hops and cell; none that is empty."""
    for group, by_cell in _scores_of(baseline, kind).items():
        cells = sorted(by_cell, key=lambda cell: cell != "ood") if kind == "questions" else by_cell
        yield from ((group, cell) for cell in cells if _is_asked(by_cell[cell]))


def _is_asked(found: Scored) -> bool:
    """Whether there is any query or question, even if an endpoint was not asked it."""
    counts = found.counts if isinstance(found, QuestionScore) else None
    return bool(_cell_score(found).n or (counts and counts.not_asked))


def _contenders_table(contenders: Mapping[str, Contender], kind: str, columns: Sequence[tuple[str, str]]) -> Table:
    """A row for each contender; where one was asked another number, a row of numbers stands before it."""
    names = [
        f"{_HEADS.get(group, group[:9]) if kind == 'questions' else f'{group} hops'}\n{_HEADS.get(cell, cell)}"
        for group, cell in columns
    ]
    table, before = plain_table("", "", names), [""]
    for name, contender in contenders.items():
        known = _scores_of(contender, kind)
        scores = [known.get(group, {}).get(cell) for group, cell in columns]
        numbers = [f"{_cell_score(score).n:,}" if score else "–" for score in scores]
        if not any(scores):
            continue
        if numbers != before:
            table.add_row("n", *numbers, style="dim")
        before = numbers
        table.add_row(name, *(percent(_cell_score(score).accuracy if score else None) for score in scores))
        if name == "llm":
            f1s = (score.f1 if isinstance(score, QuestionScore | BlindScore) else None for score in scores)
            table.add_row("llm, F1", *map(percent, f1s))
    return table


def _baseline_notes(baseline: BaselineResult) -> Iterator[str]:
    endpoint = baseline.endpoint
    if endpoint:
        counts = endpoint.counts
        yield (
            f"{endpoint.model}, {'open' if endpoint.open_book else 'closed'}-book: {counts.asked:,} asked, "
            f"{counts.unreadable:,} of them answered unreadably, {counts.not_asked:,} not asked, "
            f"{counts.failed:,} failed; {endpoint.cost}"
        )
    if baseline.atomic and baseline.atomic_held_out:
        yield (
            f"facts alone {percent(baseline.atomic.accuracy)} right, those held out "
            f"{percent(baseline.atomic_held_out.accuracy)}; trained in {baseline.cpu_seconds or 0:.1f} CPU seconds"
        )
    scores = [score for by_cell in (baseline.questions or {}).values() for score in by_cell.values()]
    causes: Counter[str] = Counter()
    for score in scores:
        causes.update(score.causes or {} if isinstance(score, QuestionScore) else {})
    if causes:
        yield f"missed questions: {', '.join(f'{cause} ({n:,})' for cause, n in causes.most_common())}"
