"""Evaluation: the test queries and the graph's questions, asked of every seed's finished model, once.

Cells tell by which facts a query is answered: I for one trained in compositions, O for one held out of them.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from grokhop.core.artifacts import conditions, sha256, write_json
from grokhop.core.errors import InputError
from grokhop.core.statistics import CellScore, over_seeds
from grokhop.evaluation.floors import floors
from grokhop.evaluation.predictions import PREDICTIONS, Answered, ask_queries, ask_rows, write_predictions
from grokhop.evaluation.question_files import read_questions
from grokhop.evaluation.questions import parsed_share, score_questions
from grokhop.graph.graph import Graph, Split
from grokhop.graph.paths import Mask, PathIndex, Queries
from grokhop.inference.loading import load_model
from grokhop.models.base import Model
from grokhop.runs.evaluation import (
    ComparisonScore,
    ControlScores,
    EvalResult,
    FileResult,
    PairScore,
    QuestionFile,
    RelationScores,
    RuleScore,
)
from grokhop.runs.run import EVAL, Run
from grokhop.tasks.composition import cell_name
from grokhop.tasks.dataset import RuleTest, TaskDataset
from grokhop.tasks.vocabulary import Vocabulary


def evaluate(
    path: Path, *, controls: Sequence[Path] = (), threads: int | None = None, device: str | None = None
) -> EvalResult:
    """Ask all finished seeds of the run folder `path` all test queries; write and return `eval.json`.

    Args:
        controls: run folders of controls of this run, which are evaluated too and stand beside it.

    Raises:
        InputError: a run cannot be read or has no finished seed, or one is no control or was asked other queries.
    """
    run = Run.read(path)
    composed = None if run.control else run.dataset.composed(len(run.graph))
    others = _controls(run, controls)
    beside = {name: _evaluate(other, composed, {}, threads, device) for name, other in others.items()}
    return _evaluate(run, composed, beside, threads, device)


def _evaluate(
    run: Run, composed: Mask | None, beside: Mapping[str, EvalResult], threads: int | None, device: str | None
) -> EvalResult:
    """Evaluate a run; `composed` marks the facts in trained compositions, those of the run where it is a control."""
    seeds = run.finished_seeds()
    torch.set_num_threads(threads or torch.get_num_threads())
    graph = run.graph
    models = [load_model(run, seed, device=device) for seed in seeds]
    dataset = run.dataset
    questions = score_questions(models, graph, seeds=seeds, words=run.plain_graph, composed=composed)
    atomic, compared = _atomic(models, graph), _compared(models, dataset)
    chains = {
        k: {cell: ask_queries(f"{k} hops/{cell}", models, dataset.vocabulary, q) for cell, q in by_cell.items()}
        for k, by_cell in dataset.test.items()
    }
    cells, rights, never = _by_composed(run, dataset, chains, composed)
    rules = _rules(models, dataset)
    summaries = [run.summary(seed) for seed in seeds]
    result = EvalResult(
        seeds=len(seeds),
        control=run.control,
        controls={
            name: ControlScores(seeds=found.seeds, atomic=found.atomic, cells=found.cells)
            for name, found in beside.items()
        },
        atomic=over_seeds(atomic.rights),
        atomic_held_out=_held_out_score(graph, atomic),
        cells={str(k): {c: over_seeds(r) for c, r in by_cell.items()} for k, by_cell in rights.items()},
        never_composed={str(k): over_seeds(found) for k, found in never.items()},
        floors=floors(run.plain_graph, dataset.compositions.chains, cells),
        comparison={cell: _comparison_score(sets) for cell, sets in compared.items()},
        rules=tuple(_rule_scores(graph, rule, by_cell) for rule, by_cell in rules),
        questions=questions,
        parsed=parsed_share(questions),
        per_relation=_per_relation(graph, cells[2], rights[2]),
        per_pair=_per_pair(graph, cells[2], rights[2]),
        grok={name: tuple(found.grok[name] for found in summaries) for name in summaries[0].grok},
        train_seconds=tuple(found.train_seconds for found in summaries),
        conditions=conditions(),
    )
    asked = [
        atomic,
        *(answered for by_cell in chains.values() for answered in by_cell.values()),
        *(answered for sets in compared.values() for answered in sets),
        *(answered for _, by_cell in rules for answered in by_cell.values()),
    ]
    for number, seed in enumerate(seeds):
        write_predictions(run.seed_folder(seed) / PREDICTIONS, dataset.labels, asked, number)
    write_json(run.path / EVAL, result.to_dict())
    return result


Chains = dict[int, dict[str, Answered]]


def _by_composed(
    run: Run, dataset: TaskDataset, chains: Chains, composed: Mask | None
) -> tuple[dict[int, dict[str, Queries]], dict[int, dict[str, list[Mask]]], dict[int, list[Mask]]]:
    """Queries and right answers by hops and cell, and apart the right answers of what is never composed.

    A query in distribution is one whose facts are all in trained compositions. Where one is in none, nobody held it
    out, and yet no training has shown how it goes on.
    """
    cells = {k: dict(by_cell) for k, by_cell in dataset.test.items()}
    rights = {k: {cell: answered.rights for cell, answered in by_cell.items()} for k, by_cell in chains.items()}
    never: dict[int, list[Mask]] = {}
    if composed is None:
        return cells, rights, never
    for k, kept in dataset.inside(run.plain_graph, composed).items():
        inside, by_cell = cell_name([False] * k), cells[k]
        queries = by_cell[inside]
        never[k] = [right[~kept] for right in rights[k][inside]]
        by_cell[inside] = queries.where(kept)
        rights[k][inside] = [right[kept] for right in rights[k][inside]]
    return cells, rights, never


def _controls(run: Run, paths: Sequence[Path]) -> dict[str, Run]:
    """Controls by their names.

    Raises:
        InputError: one is no control, or was asked other queries than the run.
    """
    found = {}
    for path in paths:
        control = Run.read(path)
        if control.control is None:
            raise InputError(f"{path} is no control: 'grokhop train --control NAME' makes one")
        if not _asks_the_same(run, control):
            raise InputError(f"{path} was asked other queries than {run.path}: train it on the same graph")
        found[control.control] = control
    return found


def _asks_the_same(run: Run, control: Run) -> bool:
    """Whether both have the same test queries; their answers may differ, where a control permutes facts."""
    ours, theirs = run.dataset.test, control.dataset.test
    return ours.keys() == theirs.keys() and all(
        np.array_equal(queries.head, theirs[k][cell].head)
        and np.array_equal(queries.relations, theirs[k][cell].relations)
        for k, by_cell in ours.items()
        for cell, queries in by_cell.items()
    )


def evaluate_questions(path: Path, file: Path, *, threads: int | None = None, device: str | None = None) -> FileResult:
    """Ask all finished seeds of the run folder `path` the questions of a file in 2WikiMultiHopQA's official format.

    Questions whose facts are not all in the graph are in the cell 'unknown'. The result is also written to the run
    folder, as `questions-NAME.json`.

    Raises:
        InputError: the run or the file cannot be read, or no seed has finished.
    """
    run = Run.read(path)
    seeds = run.finished_seeds()
    torch.set_num_threads(threads or torch.get_num_threads())
    asked = read_questions(file, run.plain_graph)
    models = [load_model(run, seed, device=device) for seed in seeds]
    questions, golds = [question for question, _ in asked], [gold for _, gold in asked]
    scores = score_questions(models, run.graph, seeds=seeds, words=run.plain_graph, questions=questions, golds=golds)
    result = FileResult(
        seeds=len(seeds),
        control=run.control,
        questions=scores,
        parsed=parsed_share(scores),
        file=QuestionFile(
            name=file.name,
            sha256=sha256(file),
            questions=len(questions),
            in_graph=sum(bool(question.facts) for question in questions),
        ),
        conditions=conditions(),
    )
    write_json(run.path / f"questions-{file.stem}.json", result.to_dict())
    return result


def _atomic(models: list[Model], graph: Graph) -> Answered:
    """Ask every fact on its own."""
    facts = PathIndex(graph).queries(np.arange(len(graph))[:, None])[0]
    return ask_queries("fact", models, Vocabulary.of(graph), facts)


def _held_out_score(graph: Graph, answered: Answered) -> CellScore:
    """The score of the facts that were held out of every composition."""
    pairs = answered.rows.tokens[:, 0] * len(graph.relations) + answered.rows.tokens[:, 1] - len(graph.entities)
    held_out = np.isin(pairs, graph.pair[graph.part != Split.TRAIN])
    return over_seeds([right[held_out] for right in answered.rights])


def _compared(models: list[Model], dataset: TaskDataset) -> dict[str, list[Answered]]:
    """Ask comparisons of facts, by cell, one set for each operator.

    'id' are pairs of trainable facts that were not trained together, 'ood' are held-out facts.
    """
    return {
        cell: [ask_rows(f"comparison/{cell}/{operator}", models, rows) for operator, rows in by_operator.items()]
        for cell, by_operator in dataset.tested_comparisons.items()
    }


def _comparison_score(sets: list[Answered]) -> ComparisonScore:
    """The score of a cell, and how many are right by giving the commonest answer of each operator (`majority`)."""
    rights = [np.concatenate(of_seed) for of_seed in zip(*(answered.rights for answered in sets), strict=True)]
    commonest = sum(max(Counter(answered.answers.tolist()).values(), default=0) for answered in sets)
    n = sum(len(answered.rows) for answered in sets)
    return ComparisonScore(score=over_seeds(rights), majority=commonest / n if n else None)


def _rules(models: list[Model], dataset: TaskDataset) -> list[tuple[RuleTest, dict[str, Answered]]]:
    """Ask each word that stands for a path as a relation of its own.

    'id' are paths of trainable facts that are tested, 'ood' are people for whom neither fact was ever in any example.
    """

    def asked(rule: RuleTest, cell: str, queries: Queries) -> Answered:
        return ask_queries(f"rule/{rule.word}/{cell}", models, dataset.vocabulary, queries)

    return [
        (rule, {"id": asked(rule, "id", rule.id), "ood": asked(rule, "ood", rule.ood)}) for rule in dataset.tested_rules
    ]


def _rule_scores(graph: Graph, rule: RuleTest, by_cell: dict[str, Answered]) -> RuleScore:
    """How many examples of a rule were trained, and its scores."""
    return RuleScore(
        rule=rule.word,
        path=tuple(graph.relations[r] for r in rule.relations),
        examples=rule.examples,
        **{cell: over_seeds(answered.rights) for cell, answered in by_cell.items()},
    )


def _per_relation(graph: Graph, cells: dict[str, Queries], rights: dict[str, list[Mask]]) -> tuple[RelationScores, ...]:
    """Two-hop scores of each relation as first, as last and as any hop in each cell, hardest relation first."""

    def scores(number: int, hops: slice) -> dict[str, CellScore]:
        used = {cell: (queries.relations[:, hops] == number).any(axis=1) for cell, queries in cells.items()}
        return {cell: over_seeds([right[chosen] for right in rights[cell]]) for cell, chosen in used.items()}

    rows = [
        RelationScores(
            relation=label,
            first_hop=scores(number, slice(0, 1)),
            last_hop=scores(number, slice(-1, None)),
            any_hop=scores(number, slice(None)),
        )
        for number, label in enumerate(graph.relations)
    ]
    return tuple(sorted(rows, key=_worst))


def _worst(row: RelationScores) -> float:
    accuracies = [score.accuracy for role in (row.first_hop, row.last_hop) for score in role.values()]
    return min((a for a in accuracies if a is not None), default=1.0)


def _per_pair(graph: Graph, cells: dict[str, Queries], rights: dict[str, list[Mask]]) -> tuple[PairScore, ...]:
    """Two-hop scores of each pair of relations over all cells, hardest pair first."""
    relations = np.concatenate([q.relations for q in cells.values()])
    per_seed = [np.concatenate(parts) for parts in zip(*rights.values(), strict=True)]
    rows = []
    for pair in np.unique(relations, axis=0):
        chosen = (relations == pair).all(axis=1)
        score = over_seeds([right[chosen] for right in per_seed])
        rows.append(PairScore(relations=tuple(graph.relations[r] for r in pair), score=score))
    return tuple(sorted(rows, key=lambda row: (row.score.accuracy or 0.0, -row.score.n)))
