"""Baselines: what else answers the test queries and questions of a run, scored by the rules that its models are.

- `oracle` looks the facts of the graph up, held-out ones too (`grokhop.evaluation.lookup`): the ceiling.
- `lookup` is a network that knows single facts, asked once a hop by a program (`grokhop.evaluation.lookup_network`):
  what a told hop structure is worth. `unseen` is the same without the held-out facts: the floor of what they decide.
- `majority` gives the commonest object of the last relation among trainable facts, whoever is asked about; of
  comparisons the commonest place or word (`grokhop.evaluation.questions`): the floor.
- `llm` asks an endpoint (`grokhop.evaluation.llm_baseline`).

The graph's questions that are for validation are not asked. This module imports no torch; reading questions does, and
so do networks.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from grokhop.core.artifacts import conditions, sha256, write_json
from grokhop.core.errors import InputError
from grokhop.core.registry import nearest
from grokhop.core.statistics import over_seeds
from grokhop.evaluation.baseline_types import BASELINES, Asked, Exam, Notice, cell_scores, without_evidence
from grokhop.evaluation.floors import commonest_objects
from grokhop.evaluation.lookup import NO_ANSWER, Oracle
from grokhop.evaluation.qa_metrics import Prediction, gold_of, score
from grokhop.evaluation.question_files import read_questions
from grokhop.graph.graph import Graph
from grokhop.graph.paths import Longs, Mask, PathIndex, Queries
from grokhop.graph.queries import Query
from grokhop.runs.baselines import (
    BASELINES_NAME,
    AskedFile,
    BaselineResult,
    BaselinesResult,
    BlindScore,
    ModelScores,
)
from grokhop.runs.evaluation import QuestionScore
from grokhop.runs.run import EVAL, Run
from grokhop.tasks.comparison import COMPARED, is_comparable
from grokhop.tasks.composition import cell_name

if TYPE_CHECKING:
    from grokhop.core.llm_client import Client

"""The result's name in a run folder, without its ending; `evaluate_questions` names that of a file as well."""


def run_baselines(
    path: Path,
    names: Sequence[str],
    *,
    file: Path | None = None,
    client: "Client | None" = None,
    open_book: bool = False,
    limit: int = 100,
    notice: Notice = lambda _line: None,
) -> BaselinesResult:
    """Have each of the baselines `names` answer what the models of the run folder `path` are asked.

    Args:
        file: ask the questions of this file in 2WikiMultiHopQA's official format instead.
        client: the endpoint for 'llm'. open_book: whether its prompts list facts (`grokhop.evaluation.llm_baseline`).
        limit: where there are no questions, it is asked so many test queries of each cell, chosen by a fixed seed.

    Returns:
        The baselines, and the same scores of the model where the run was evaluated. The result is written to the run
        folder as `baselines.json`, of a file as `baselines-NAME.json`, where the baselines of earlier calls stay.
        'llm' has either questions or cells; without a file the others have both.

    Raises:
        InputError: a name is none of `BASELINES`, 'llm' has no endpoint or one that is for nothing, the run or the file
            cannot be read, or see `Client.ask`.
    """
    _check(names, client, open_book)
    run = Run.read(path)
    composed = None if run.control or file else run.dataset.composed(len(run.graph))
    groups, cells = _questions(run, file, composed), {} if file else run.dataset.test
    graph = run.plain_graph
    if composed is not None:
        cells = _composed_alone(run, composed)
    exam = Exam(graph=graph, groups=groups, cells=cells, client=client, open_book=open_book, limit=limit, notice=notice)
    made = {name: BASELINES.get(name)(exam) for name in names}
    told = AskedFile(name=file.name, sha256=sha256(file)) if file else None
    target = f"{BASELINES_NAME}-{file.stem}.json" if file else f"{BASELINES_NAME}.json"
    kept = {**_earlier(run, target, told), **made}
    result = BaselinesResult(
        baselines={name: kept[name] for name in BASELINES.names() if name in kept},
        model=_model(run, f"questions-{file.stem}.json" if file else EVAL, told),
        file=told,
        conditions=conditions(),
    )
    write_json(run.path / target, result.to_dict())
    return result


def _composed_alone(run: Run, composed: Mask) -> dict[int, dict[str, Queries]]:
    """Test queries as `evaluate` counts them: in distribution those whose facts are all in trained compositions."""
    kept, cells = run.dataset.inside(run.plain_graph, composed), run.dataset.test
    inside = {k: cell_name([False] * k) for k in cells}
    return {k: {**by_cell, inside[k]: by_cell[inside[k]].where(kept[k])} for k, by_cell in cells.items()}


def _check(names: Sequence[str], client: "Client | None", open_book: bool) -> None:
    known = BASELINES.names()
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        near = nearest(unknown[0], known) if unknown else ""
        raise InputError(f"--baseline takes one or more of {', '.join(known)}, not '{', '.join(unknown)}'{near}")
    if "llm" in names and client is None:
        raise InputError("--baseline llm needs an endpoint: give --base-url and --model")
    if "llm" not in names and (client is not None or open_book):
        raise InputError("an endpoint and --open-book are for --baseline llm: add it, or leave them out")


def _earlier(run: Run, name: str, told: AskedFile | None) -> dict[str, BaselineResult]:
    """The baselines that the file `name` holds; none where it is about another file of questions."""
    kept = run.find_record(name, BaselinesResult.from_dict, made_by="grokhop eval --baseline")
    return kept.baselines if kept and kept.file == told else {}


def _model(run: Run, name: str, told: AskedFile | None) -> ModelScores | None:
    """The scores that the run's models have; None where they were not asked the same."""
    found = run.find_record(name, _Answered.from_dict, made_by="grokhop eval")
    if found is None or (told and (found.file is None or found.file.sha256 != told.sha256)):
        return None
    questions = {
        kind: {cell: replace(scored, misses=None) for cell, scored in by_cell.items()}
        for kind, by_cell in found.questions.items()
    }
    return ModelScores(seeds=found.seeds, control=found.control, questions=questions, cells=found.cells)


@dataclass(frozen=True, kw_only=True)
class _Answered(ModelScores):
    """As much as is read of `eval.json`, or of `questions-NAME.json`, which is about a file."""

    file: AskedFile | None = None


def _questions(run: Run, file: Path | None, composed: Mask | None) -> dict[str, dict[str, list[Asked]]]:
    """What a run's models are asked, by type and cell; of the graph's own questions none that is for validation."""
    graph, groups = run.plain_graph, defaultdict[str, dict[str, list[Asked]]](dict)
    if file:
        wanted = read_questions(file, graph)
    else:
        kinds = [q for q in graph.questions if q.type not in COMPARED or is_comparable(run.graph)]
        wanted = [(question, gold_of(graph, question)) for question in kinds]
    if not wanted:
        return {}
    from grokhop.evaluation.questions import question_cell, understood
    from grokhop.language.parser import QuestionParser

    chaining, understander = PathIndex(graph), QuestionParser(graph)
    for question, gold in sorted(wanted, key=lambda pair: pair[0].type):
        cell = question_cell(chaining, question, composed)
        if file or cell != "validation":
            query = understood(understander, question)
            asked = Asked(question=question, gold=gold, query=query, cell=cell)
            groups[question.type].setdefault(cell, []).append(asked)
    return dict(groups)


def oracle(exam: Exam) -> BaselineResult:
    """Look the facts of the graph up, held-out ones too."""
    known = Oracle(exam.graph)
    return BaselineResult(
        questions={
            kind: {cell: known.scores(asked) for cell, asked in by_cell.items()}
            for kind, by_cell in exam.groups.items()
        },
        cells=cell_scores(exam.cells, known.ends),
    )


def majority(exam: Exam) -> BaselineResult:
    """Give the commonest object of the last relation, of comparisons the commonest place or word."""
    graph, commonest = exam.graph, commonest_objects(exam.graph)
    return BaselineResult(
        questions={
            kind: {
                cell: _blind(graph, asked) if kind in COMPARED else _guessed(graph, asked, commonest)
                for cell, asked in by_cell.items()
            }
            for kind, by_cell in exam.groups.items()
        },
        cells=cell_scores(exam.cells, lambda queries: commonest[queries.relations[:, -1]]),
    )


def _blind(graph: Graph, asked: Sequence[Asked]) -> BlindScore:
    """The blind baseline of comparisons as a score: a share, which has no F1."""
    from grokhop.evaluation.questions import blind_share

    n = len(asked)
    share = blind_share(graph, [one.query for one in asked], [one.gold for one in asked])
    return BlindScore(score=over_seeds([np.arange(n) < round(share * n)]))


def _guessed(graph: Graph, asked: Sequence[Asked], commonest: Longs) -> QuestionScore:
    labels = [*(entity.label for entity in graph.entities), NO_ANSWER]
    guesses = [Prediction(answer=None if (r := _last(one)) is None else labels[commonest[r]]) for one in asked]
    return without_evidence(score([one.gold for one in asked], [guesses]))


def _last(one: Asked) -> int | None:
    """The last relation of a chain, as it was meant rather than as it was understood, where that is known."""
    if one.question.path:
        return one.question.path[1][-1]
    return one.query.branches[0].relations[-1] if isinstance(one.query, Query) else None
