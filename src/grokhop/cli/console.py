"""What people see: results as tables on standard output, progress on standard error.

On a terminal progress is a live display, elsewhere plain lines.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from grokhop.config import RunConfig
from grokhop.core.formatting import percent
from grokhop.core.statistics import CellScore
from grokhop.phi.report import LEARNED_FROM, PhiReport
from grokhop.runs.baselines import BaselineResult, BaselinesResult, BlindScore, ModelScores, Scored
from grokhop.runs.callbacks import Callback
from grokhop.runs.evaluation import EvalResult, FileResult, QuestionScore
from grokhop.runs.explanation import Explanation, MeasureResult, QueryCircuit
from grokhop.runs.metrics import EvalRecord
from grokhop.tasks.composition import cell_names
from grokhop.tasks.controls import control_words

if TYPE_CHECKING:
    from grokhop.augmentation.report import AugmentReport
    from grokhop.bench.rows import BenchResult, BenchRow
    from grokhop.experiments.recipes import RecipeList
    from grokhop.experiments.result import Reproduction
    from grokhop.export.huggingface import Exported
    from grokhop.graph.graph import GraphCounts
    from grokhop.inference.ask import Answer
    from grokhop.pipeline import DemoResult
    from grokhop.runs.metrics import TrainResult

out = Console(highlight=False)
if not out.is_terminal:
    out.width = 100  # a file or a pipe has no width of its own
err = Console(stderr=True, highlight=False, soft_wrap=True)

LABEL_WIDTH = 25
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
}

_FLOORS = """\
floor: right without following a fact, by the best of three guesses: the commonest
tail of the last relation, the commonest end of the last two, or the head again"""

Contender = ModelScores | BaselineResult
"""Whose scores stand side by side."""

STAGES = {
    "ingest": "Reading the built-in graph and holding facts out",
    "phi": "Measuring phi: inferred facts for each atomic fact",
    "augment": "Adding facts where a relation has too few",
    "train": "Training until it groks",
    "control": "Training a control that sees no compositions, for as many steps",
    "evaluate": "Asking the test queries",
    "explain": "Looking into the circuit",
}


def say(line: str) -> None:
    """A line of progress."""
    err.print(line, markup=False)


class TrainingDisplay(Callback):
    """Shows the beginning of a run and each evaluation: a live table on a terminal, lines elsewhere."""

    def __init__(self, live: Live | None) -> None:
        self._live = live
        self._records: list[tuple[int, EvalRecord]] = []

    def on_start(self, settings: RunConfig, counts: Mapping[str, int]) -> None:
        if settings.task.control != "none":
            words = control_words(settings.task.control, counts)
            err.print(f"control {settings.task.control}: {words}", style="bold", markup=False)
        err.print(
            f"{counts['chains']:,} chains and {counts['atomic_rows']:,} facts on their own to train; "
            f"{counts['validation_queries']:,} validation and {counts['test_queries']:,} test queries\n"
            f"leakage check: {counts['leak_checked_pieces']:,} trained queries compared, {counts['leaked_facts']} "
            f"held-out facts and {counts['leaked_queries']} tested queries among them\n"
            f"{', '.join(settings.model.words())}, chains of {settings.task.hops}, until validation ID "
            f"{percent(settings.train.id_target)} and OOD {percent(settings.train.ood_target)}, or {settings.budget}"
        )
        phi = counts.get("trained_2_hops", 0) / max(1, counts["trainable_facts"])
        if settings.model.architecture == "recurrent" and settings.task.control == "none" and phi < LEARNED_FROM:
            err.print(
                f"phi as trained is {phi:.2f}; from about {LEARNED_FROM:g} on this model has learned to compose. Two "
                "ways out: 'grokhop augment' adds facts; '--preset loop' is told how to compose, and works on any "
                "graph",
                style="bold",
                soft_wrap=True,
                markup=False,
            )

    def on_eval(self, seed: int, record: EvalRecord) -> None:
        if self._live is None:
            err.print(_line(seed, record))
            return
        self._records.append((seed, record))
        self._live.update(_looks_table(self._records[-12:]))


class DemoDisplay(TrainingDisplay):
    """Shows the stages of the flow too."""

    def on_stage(self, stage: str, result: Any = None) -> None:
        says: dict[str, Callable[[Any], None]] = {
            "ingest": _say_counts,
            "phi": _say_phi,
            "augment": _say_augmentation,
            "explain": _say_circuit,
        }
        if result is None:
            err.print(f"\n[bold]{list(STAGES).index(stage) + 1}/{len(STAGES)} {STAGES[stage]}[/bold]")
        elif stage in says:
            says[stage](result)


@contextmanager
def display(kind: type[TrainingDisplay] = TrainingDisplay) -> Iterator[TrainingDisplay]:
    """Yield a callback that shows training while it goes on."""
    if not err.is_terminal:
        yield kind(None)
        return
    with Live(console=err, refresh_per_second=4) as live:
        yield kind(live)


def _controlled(title: str, control: str | None) -> str:
    """A title, and beside it which control the numbers below are of, if they are of one."""
    return f"{title}, control {control}" if control else title


def plain_table(title: str, first: str, names: Sequence[str]) -> Table:
    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), collapse_padding=True)
    table.add_column(first, no_wrap=True)
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _short(label: str) -> Text:
    """A label that leaves room for numbers on a terminal of 80 columns."""
    return Text(label if len(label) <= LABEL_WIDTH else label[: LABEL_WIDTH - 1] + "…")


def _line(seed: int, look: EvalRecord) -> str:
    left = "" if look.seconds_left is None else f", at most {look.seconds_left:.0f} s left"
    cells = ", ".join(f"{cell} {percent(share)}" for cell, share in look.cells["2"].items())
    compared = "" if look.compared is None else f" compared {percent(look.compared)}"
    return (
        f"seed {seed} step {look.step} {look.seconds:.0f} s loss {look.loss:.3f} train {percent(look.train)} "
        f"ID {percent(look.id)} OOD {percent(look.ood)}{compared} ({cells}; {look.rows_per_second:,.0f} rows/s"
        f"{', cooling down' if look.cooling else ''}{left})"
    )


def _looks_table(looks: list[tuple[int, EvalRecord]]) -> Table:
    table = Table(title="validation accuracy in %", box=None, padding=(0, 1, 0, 0))
    cells = cell_names(2)
    for name in ("seed", "step", "s", "loss", "train", *cells, "hop more", "rows/s", "s left"):
        table.add_column(name, justify="right", no_wrap=True)
    for seed, look in looks:
        untrained = look.cells[max(look.cells)].get("0")
        shares = (look.train, *(look.cells["2"][cell] for cell in cells), untrained)
        left = "" if look.seconds_left is None else f"≤ {look.seconds_left:.0f}"
        numbers = (str(seed), str(look.step), f"{look.seconds:.0f}", f"{look.loss:.3f}")
        accuracies = (percent(share).removesuffix(" %") for share in shares)
        table.add_row(
            *numbers, *accuracies, f"{look.rows_per_second:,.0f}", left, style="bold" if look.cooling else None
        )
    return table


def _say_counts(counts: "GraphCounts") -> None:
    err.print(
        f"{counts.facts:,} facts, {counts.entities:,} entities, {counts.relations} relations; "
        f"{counts.held_out:,} facts held out ({counts.held_out_validation:,} for validation, "
        f"{counts.held_out_test:,} for test)"
    )


def _say_phi(measured: PhiReport) -> None:
    whole = measured.whole
    err.print(
        f"phi {whole.phi:.2f} ({whole.paths:,} paths of {whole.hops} facts); "
        f"after hold-out {measured.trainable.phi:.2f}. {measured.verdict}"
    )


def _say_augmentation(report: "AugmentReport") -> None:
    failing = [row.relation for row in report.per_relation if not row.passes]
    added = f"{report.added:,} facts added, phi {report.phi_before:.2f} to {report.phi_after:.2f}"
    err.print(
        (added if report.added else "nothing is added")
        + ("; every relation passes" if not failing else f"; below the target: {', '.join(failing)}"),
        markup=False,
    )


def _say_circuit(result: Explanation) -> None:
    scores = [found.ood.score for found in result.seeds]
    right, named = sum(score.right for score in scores), sum(score.right_and_named for score in scores)
    err.print(f"the bridge is named in {named} of {right} right answers over held-out facts")
    for line in _about_the_circuit(result):
        err.print(line, markup=False)


def show_graph(folder: Path, counts: "GraphCounts") -> None:
    """What was ingested and held out."""
    _say_counts(counts)
    out.print(f"graph folder: {folder}\nnext: grokhop phi {folder}", soft_wrap=True, markup=False)


def show_phi(measured: "PhiReport") -> None:
    """A table with a row for each relation, before and after hold-out, and the verdict."""
    whole, after = measured.whole, measured.trainable.by_relation()
    title = f"phi over paths of {whole.hops} facts, target {whole.target:g}"
    names = ("facts", "first", "last hop", "paths", "b_r", "phi", "trainable", "ok")
    table = plain_table(title, "relation", names)
    for row in sorted(whole.per_relation, key=lambda row: -row.phi):
        counts = (f"{number:,}" for number in (row.facts, row.first_hop_paths, row.last_hop_paths, row.paths))
        trainable = after[row.relation]
        ratios = (f"{row.branching:.2f}", f"{row.phi:.2f}", f"{trainable.phi:.2f}")
        table.add_row(_short(row.relation), *counts, *ratios, "yes" if trainable.passes else "no")
    out.print(table)
    for name, part in (("all facts", whole), ("trainable facts", measured.trainable)):
        out.print(
            f"{name}: {part.facts:,} facts, {part.entities:,} entities, {part.paths:,} paths "
            f"({part.paths_no_return:,} that do not return to their head), phi {part.phi:.2f} "
            f"(Lemma 1, evenly spread: about {part.lemma_1_bound:.2f}; "
            f"Lemma 2, every relation passes: {'holds' if part.lemma_2_holds else 'does not hold'})",
            soft_wrap=True,
        )
    out.print(measured.verdict, style="bold", soft_wrap=True, markup=False)


def show_augmentation(report: "AugmentReport") -> None:
    """What was added and what it did to phi."""
    names = ("missing", "as first", "as later", "added", "phi before", "after", "ok")
    table = plain_table(f"phi of trainable facts, target {report.target:g}", "relation", names)
    for row in sorted(report.per_relation, key=lambda row: row.phi_after):
        missing = (row.missing_before, row.missing_first_hop_before, row.missing_last_hop_before)
        counts = (f"{number:,}" for number in (*missing, row.added))
        ratios = (f"{row.phi_before:.2f}", f"{row.phi_after:.2f}", "yes" if row.passes else "no")
        table.add_row(_short(row.relation), *counts, *ratios)
    out.print(table)
    sources = ", ".join(f"{n:,} from {name}" for name, n in report.by_source.items()) or "none needed"
    out.print(
        f"added facts: {report.added:,} ({sources}); no plan needs fewer than {report.lower_bound:,}", soft_wrap=True
    )
    if report.rejected:
        reasons = ", ".join(f"{n:,} because {reason}" for reason, n in report.rejected.items())
        out.print(f"not added: {reasons}", markup=False, soft_wrap=True)
    for name, n in report.wanted.items():
        out.print(f"asked of an endpoint: {n} of {name}", markup=False, soft_wrap=True)
    if report.llm is not None:
        out.print(f"endpoint: {report.llm['cost']}", markup=False, soft_wrap=True)
    for missed in report.unreachable:
        out.print(f"not reached: {missed.relation}: {missed.reason}", markup=False, soft_wrap=True)


def show_training(result: "TrainResult") -> None:
    """The three grokking times of each seed."""
    names = ("training 99 %", "ID 95 %", "OOD 95 %", "end", "steps", "rows/s")
    table = plain_table(_controlled("seconds until", result.control), "seed", names)
    for seed, summary in zip(result.numbers, result.seeds, strict=True):
        times = (f"{when.seconds:.1f}" if when else "not reached" for when in summary.grok.values())
        end = (f"{summary.train_seconds:.1f}", str(summary.steps), f"{summary.rows_per_second:,.0f}")
        table.add_row(str(seed), *times, *end)
    out.print(table)
    out.print(f"run folder: {result.run}\nnext: grokhop eval {result.run}", soft_wrap=True, markup=False)


def show_evaluation(result: EvalResult) -> None:
    """The cells, facts on their own, and the graph's questions."""
    seeds = result.seeds
    title = f"test accuracy, {'one seed' if seeds == 1 else f'mean of {seeds} seeds'}, 95 % interval"
    names = ("accuracy", "floor", *result.controls, "low", "high", "std", "n")
    table = plain_table(_controlled(title, result.control), "queries", names)
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
    table = plain_table(_controlled(title, result.control), "type", names)
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
    names = ("after loop", "read out", "probability")
    table = plain_table(_controlled("hop by hop", result.control), "relation", names)
    for hop in result.hops:
        table.add_row(_short(hop.relation), str(hop.loop), _short(hop.entity), percent(hop.probability))
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


def show_recipes(found: "RecipeList") -> None:
    """The published experiments that can be run, and what each needs."""
    for recipe in found.recipes:
        needs = "needs files of 2WikiMultiHopQA" if recipe.needs_files else "needs no files"
        out.print(f"{recipe.name} ({needs}): {recipe.title}", markup=False, soft_wrap=True)
    out.print("no published size was run here; --published takes it, for those with a GPU", soft_wrap=True)
    out.print("run one with: grokhop reproduce NAME [FILES] -o FOLDER", markup=False)


def show_reproduction(result: "Reproduction") -> None:
    """What was reported beside what came of it here, whether the pattern shows, and what had to be assumed."""
    from grokhop.experiments.reproduce import FIGURES

    reported, ours = result.recipe.reported, result.ours.to_dict()
    table = plain_table(result.recipe.title, "", ("reported", "certainty", "here"))
    for name, label in FIGURES.items():
        told = reported.get(name, {"value": None, "certainty": ""})
        if name in ours or told["value"] is not None:
            table.add_row(label, _figure(name, told["value"]), told["certainty"], _figure(name, ours.get(name)))
    out.print(table)
    for line in _about_a_reproduction(result):
        out.print(line, markup=False, soft_wrap=True)
    _say_report(result.report)


def _figure(name: str, value: Any) -> str:
    """A figure of a reproduction, or those of its seeds."""
    if isinstance(value, list):
        return ", ".join(_figure(name, one) for one in value)
    if name.endswith("accuracy") or value is None:
        return percent(value)
    return f"{value:,.0f}" if value >= 100 or isinstance(value, int) else f"{value:.3g}"


def _about_a_reproduction(result: "Reproduction") -> Iterator[str]:
    recipe, ours, pattern = result.recipe, result.ours, result.pattern
    for cell, score in (("ID", ours.id), ("OOD", ours.ood)):
        blind = "" if score.blind is None else f"; {percent(score.blind)} majority baseline"
        yield (
            f"here, {cell}: {percent(score.accuracy)} of {score.n:,}, 95 % interval {percent(score.low)} to "
            f"{percent(score.high)}, seeds {', '.join(map(percent, score.per_seed))}, "
            f"std {percent(score.spread)}{blind}"
        )
    yield f"here, ID 95 % and OOD 95 % are of {ours.marks}"
    yield f"published size: {result.published_size}{'' if result.here.published else f': {recipe.not_run}'}"
    for name, plan in (("published", result.published), ("here", result.here)):
        yield f"{name}: {plan.model}; {', '.join([f'preset {plan.preset}', *plan.changed])}; {plan.most}"
    shows = {True: "shows", False: "does not show", None: "cannot be told"}
    yield f"the reported pattern {shows[pattern.shows]}"
    for claim in pattern.claims:
        yield f"- {claim.says} ({claim.certainty}) {shows[claim.shows]}: {claim.because}"
    yield f"known of the paper: {recipe.where}"
    yield from (f"unknown: {line}" for line in recipe.unknown)
    yield from (f"assumed: {line}" for line in recipe.assumed)


def show_report(result: dict[str, str]) -> None:
    """Where the report is."""
    _say_report(result["report"])


def _say_report(path: Path | str) -> None:
    out.print(f"report: {path}", soft_wrap=True, markup=False)


def show_demo(result: "DemoResult") -> None:
    """The table of accuracies and where the report is."""
    show_evaluation(result.evaluation)
    _say_report(result.report)


def show_baselines(result: BaselinesResult) -> None:
    """The accuracies of the run's models and of each baseline, and what the baselines could not be asked or answer."""
    contenders: dict[str, Contender] = {**({"model": result.model} if result.model else {}), **result.baselines}
    control = result.model.control if result.model else None
    out.print(_controlled("exact answers; n is of the rows below it", control), style="italic")
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


def show_bench(result: "BenchResult") -> None:
    """The contenders of each quantity, one table for all that share their conditions, and whether they agree."""
    for told in dict.fromkeys(row.conditions for row in result.rows):
        _show_rows(told, [row for row in result.rows if row.conditions == told])
    if any(row.ratio is not None for row in result.rows):
        out.print("ratio: how many times the first is better than each; above 1 it is ahead", soft_wrap=True)
    findings, hardware = result.findings, result.conditions.hardware
    for what, exponent in (findings.exponents or {}).items():
        out.print(f"{what}: grows with the number of facts to the power of {exponent:.2f}", soft_wrap=True)
    for found in findings.same or []:
        out.print(f"{'the same' if found.same else 'NOT THE SAME'}: {found.what}", markup=False, soft_wrap=True)
    for note in findings.notes or []:
        out.print(note, markup=False, soft_wrap=True)
    made = f"{hardware.processor}, {hardware.cores} cores, {result.conditions.created}"
    out.print(made, markup=False, soft_wrap=True)


def _show_rows(told: str, rows: "Sequence[BenchRow]") -> None:
    """The table of the rows that share their conditions, and their notes."""
    table, name = plain_table(told, "", ("median", "low to high", "ratio")), ""
    for row in rows:
        if row.name != name:
            name = row.name
            table.add_row(name, style="bold")
        median, low, high = map(_bench_figure, (row.median, row.low, row.high))
        reached = (f"{median} {row.unit}", f"{low} to {high}") if row.reached else (row.note, "–")
        ratio = "" if row.reached or row.ratio is None else "at least "
        table.add_row(f"  {row.contender}", *reached, ratio + _bench_figure(row.ratio))
    out.print(table)
    for note in dict.fromkeys(row.note for row in rows if row.reached and row.note):
        out.print(note, markup=False, soft_wrap=True)


def _bench_figure(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def show_export(result: "Exported") -> None:
    """What was written, and how it is read."""
    out.print(f"{result.model}: {result.parameters:,} parameters, {result.tokens:,} tokens", markup=False)
    out.print(f"export: {result.export} (README.md says how to ask it)", soft_wrap=True, markup=False)


_DISTRIBUTION = {"id": "in distribution", "ood": "out of distribution"}


def show_explanation(result: Explanation) -> None:
    """How often the bridges are named, what each place restores, and what was found of single queries."""
    table = plain_table("does the explanation hold? two hops", "queries", ("asked", "right", "right, bridge named"))
    table.add_column("bridge named, wrong", justify="right")
    for found in result.seeds:
        for name, words in _DISTRIBUTION.items():
            score = found.of(name).score
            numbers = (score.n, score.right, score.right_and_named, score.named_and_wrong)
            table.add_row(f"seed {found.seed}, {words}", *(f"{number:,}" for number in numbers))
    out.print(table)
    if result.patching:
        heading = f"put back into a query with another head, {_DISTRIBUTION[result.asked]}"
        patched = plain_table(heading, "residual stream at", ("answer restored",))
        for place, share in result.patching.items():
            patched.add_row(place, percent(max(0.0, share)))
        out.print(patched)
    for line in _about_the_circuit(result):
        out.print(line, markup=False)
    if result.measures:
        out.print(_measures_table(result.measures))
    for query in result.queries:
        _show_places(query)


def _measures_table(measures: Sequence[MeasureResult]) -> Table:
    """A row for each number of a measure, a column for each seed and set of queries."""
    columns = list(dict.fromkeys((row.seed, row.asked) for row in measures))
    table = plain_table("measures", "", [f"seed {seed},\n{asked.upper()}" for seed, asked in columns])
    for measure, number in dict.fromkeys((row.measure, name) for row in measures for name in row.found):
        found = {(row.seed, row.asked): row.found.get(number) for row in measures if row.measure == measure}
        values = (found.get(column) for column in columns)
        table.add_row(f"{measure}: {number}", *("–" if value is None else f"{value:.3g}" for value in values))
    return table


def _about_the_circuit(result: Explanation) -> Iterator[str]:
    for found in result.seeds:
        for name, words in _DISTRIBUTION.items():
            carried, ablation = found.of(name).carried_over, found.of(name).ablation
            if carried and carried.n and ablation:
                yield (
                    f"seed {found.seed}, {words}: the bridge's state of another query brings the answer in "
                    f"{percent(carried.answered)} of {carried.n}; without the bridge "
                    f"{percent(ablation.bridge)} are still right, without the second entity there "
                    f"{percent(ablation.second)}"
                )
    if not result.formation:
        yield "no snapshots were kept: train with --set train.checkpoints_per_decade=8 to see how the circuit forms"


def _show_places(query: QueryCircuit) -> None:
    table = plain_table(" / ".join(query.query), "position", ("depth", "reads out", "probability"))
    for place in query.places:
        best = place.top[0]
        table.add_row(
            f"{place.position} {place.token}", str(place.depth), _short(best.entity), percent(best.probability)
        )
    out.print(table)
