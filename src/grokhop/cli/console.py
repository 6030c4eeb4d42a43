"""What people see: results as tables on standard output, progress on standard error.

On a terminal progress is a live display, elsewhere plain lines.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from grokhop.config import RunConfig
from grokhop.core.formatting import percent
from grokhop.phi.report import LEARNED_FROM, PhiReport
from grokhop.runs.callbacks import Callback
from grokhop.runs.metrics import EvalRecord
from grokhop.tasks.composition import cell_names
from grokhop.tasks.controls import control_words

if TYPE_CHECKING:
    from grokhop.augmentation.report import AugmentReport
    from grokhop.bench.rows import BenchResult, BenchRow
    from grokhop.export.huggingface import Exported
    from grokhop.graph.graph import GraphCounts
    from grokhop.runs.metrics import TrainResult

out = Console(highlight=False)
if not out.is_terminal:
    out.width = 100  # a file or a pipe has no width of its own
err = Console(stderr=True, highlight=False, soft_wrap=True)

LABEL_WIDTH = 25


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


@contextmanager
def display(kind: type[TrainingDisplay] = TrainingDisplay) -> Iterator[TrainingDisplay]:
    """Yield a callback that shows training while it goes on."""
    if not err.is_terminal:
        yield kind(None)
        return
    with Live(console=err, refresh_per_second=4) as live:
        yield kind(live)


def controlled(title: str, control: str | None) -> str:
    """A title, and beside it which control the numbers below are of, if they are of one."""
    return f"{title}, control {control}" if control else title


def plain_table(title: str, first: str, names: Sequence[str]) -> Table:
    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), collapse_padding=True)
    table.add_column(first, no_wrap=True)
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def short(label: str) -> Text:
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


def say_counts(counts: "GraphCounts") -> None:
    err.print(
        f"{counts.facts:,} facts, {counts.entities:,} entities, {counts.relations} relations; "
        f"{counts.held_out:,} facts held out ({counts.held_out_validation:,} for validation, "
        f"{counts.held_out_test:,} for test)"
    )


def say_phi(measured: PhiReport) -> None:
    whole = measured.whole
    err.print(
        f"phi {whole.phi:.2f} ({whole.paths:,} paths of {whole.hops} facts); "
        f"after hold-out {measured.trainable.phi:.2f}. {measured.verdict}"
    )


def say_augmentation(report: "AugmentReport") -> None:
    failing = [row.relation for row in report.per_relation if not row.passes]
    added = f"{report.added:,} facts added, phi {report.phi_before:.2f} to {report.phi_after:.2f}"
    err.print(
        (added if report.added else "nothing is added")
        + ("; every relation passes" if not failing else f"; below the target: {', '.join(failing)}"),
        markup=False,
    )


def show_graph(folder: Path, counts: "GraphCounts") -> None:
    """What was ingested and held out."""
    say_counts(counts)
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
        table.add_row(short(row.relation), *counts, *ratios, "yes" if trainable.passes else "no")
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
        table.add_row(short(row.relation), *counts, *ratios)
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
    table = plain_table(controlled("seconds until", result.control), "seed", names)
    for seed, summary in zip(result.numbers, result.seeds, strict=True):
        times = (f"{when.seconds:.1f}" if when else "not reached" for when in summary.grok.values())
        end = (f"{summary.train_seconds:.1f}", str(summary.steps), f"{summary.rows_per_second:,.0f}")
        table.add_row(str(seed), *times, *end)
    out.print(table)
    out.print(f"run folder: {result.run}\nnext: grokhop eval {result.run}", soft_wrap=True, markup=False)


def show_report(result: dict[str, str]) -> None:
    """Where the report is."""
    say_report(result["report"])


def say_report(path: Path | str) -> None:
    out.print(f"report: {path}", soft_wrap=True, markup=False)


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


DISTRIBUTION = {"id": "in distribution", "ood": "out of distribution"}
