"""Questions asked in their words, the graph's own or those of a file; each miss is listed with its cause.

A question is understood by `grokhop.language.parser`, answered by a model, and scored by the benchmark's rules; one
that is not understood is wrong.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from grokhop.core.errors import InputError
from grokhop.evaluation.qa_metrics import Gold, Prediction, exact_match, gold_of, score
from grokhop.graph.graph import Graph, Question, Split
from grokhop.graph.paths import Mask, PathIndex
from grokhop.graph.queries import Query
from grokhop.inference.answering import QuestionAnswerer, Response
from grokhop.inference.predict import are_right
from grokhop.language.parser import QuestionParser
from grokhop.models.base import Model
from grokhop.runs.evaluation import Miss, Questions, QuestionScore
from grokhop.tasks.comparison import COMPARED, is_comparable
from grokhop.tasks.vocabulary import Vocabulary


def score_questions(
    models: Sequence[Model],
    graph: Graph,
    *,
    seeds: Sequence[int],
    words: Graph | None = None,
    questions: Sequence[Question] | None = None,
    golds: Sequence[Gold] | None = None,
    composed: Mask | None = None,
) -> Questions:
    """Scores of questions by type and cell (see `question_cell`), with their misses.

    Comparisons also have a `baseline`: the share that is answered by always naming the first, or always the second,
    of the two, and always saying yes, or always no, whichever is right more often.

    Args:
        graph: as the models were trained on it.
        seeds: the seed of each model.
        words: the graph whose names the questions use, without calendar and operators; `graph` if left out.
        questions: the graph's own if left out, those that compare only where the models were trained to.
        golds: what each question should be answered with; as the graph has it if left out.
        composed: (F,) facts that are in trained compositions; a chain with another is 'never composed', not 'id'.
    """
    if questions is None:
        compares = is_comparable(graph)
        questions = [q for q in graph.questions if compares or q.type not in COMPARED]
    golds = golds or [gold_of(graph, question) for question in questions]
    understander = QuestionParser(words or graph)
    queries = [understood(understander, question) for question in questions]
    chaining, cells = PathIndex(graph), defaultdict(list)
    for i, question in enumerate(questions):
        cells[question.type, question_cell(chaining, question, composed)].append(i)
    responders = [QuestionAnswerer(graph, model) for model in models]
    answered = [_answered(responder, queries) for responder in responders]
    result: dict[str, dict[str, QuestionScore]] = defaultdict(dict)
    for (kind, cell), chosen in sorted(cells.items()):
        wanted = [golds[i] for i in chosen]
        predictions = [
            [_prediction(responder, queries[i], responses[i]) for i in chosen]
            for responder, responses in zip(responders, answered, strict=True)
        ]
        misses = tuple(
            replace(_miss(responder, chaining, questions[i], queries[i], responses[i]), seed=seed)
            for seed, responder, responses, predicted in zip(seeds, responders, answered, predictions, strict=True)
            for i, gold, guess in zip(chosen, wanted, predicted, strict=True)
            if guess.answer is None or not exact_match(guess.answer, gold.answers)
        )
        blind = blind_share(graph, [queries[i] for i in chosen], wanted) if kind in COMPARED else None
        result[kind][cell] = replace(score(wanted, predictions), misses=misses, baseline=blind)
    return dict(result)


def _answered(responder: QuestionAnswerer, queries: Sequence[Query | str]) -> list[Response | None]:
    """A response to each query; None where it was not understood, or compares and the model was not trained to."""
    compares = is_comparable(responder.graph)
    asked = [i for i, q in enumerate(queries) if isinstance(q, Query) and (compares or q.operator is None)]
    responses = responder.respond([queries[i] for i in asked])  # type: ignore[misc]
    found = dict(zip(asked, responses, strict=True))
    return [found.get(i) for i in range(len(queries))]


def blind_share(graph: Graph, queries: Sequence[Query | str], golds: Sequence[Gold]) -> float:
    """How many answers the commonest place and the commonest word would get right."""
    right: dict[str, Counter[str]] = {"place": Counter(), "word": Counter()}
    for query, gold in zip(queries, golds, strict=True):
        if gold.answers[0] in ("yes", "no"):
            right["word"][gold.answers[0]] += 1
        elif isinstance(query, Query):
            names = [graph.entities[branch.head].names for branch in (query.branches[0], query.branches[-1])]
            for place, known in zip(("first", "second"), names, strict=True):
                right["place"][place] += any(exact_match(name, gold.answers) for name in known)
    return sum(max(counted.values(), default=0) for counted in right.values()) / len(golds)


def parsed_share(questions: Questions) -> float | None:
    """The share of all questions that were understood and could be asked, from their scores by type and cell."""
    scores = [found for cells in questions.values() for found in cells.values()]
    asked = sum(found.score.n for found in scores)
    return sum((found.parsed or 0.0) * found.score.n for found in scores) / asked if asked else None


def understood(understander: QuestionParser, question: Question) -> Query | str:
    """The query of a question, or why it was not understood."""
    try:
        return understander.understand(question.text).query
    except InputError as error:
        return str(error)


def _prediction(responder: QuestionAnswerer, query: Query | str, response: Response | None) -> Prediction:
    if isinstance(query, str) or response is None:
        return Prediction(answer=None)
    return Prediction(answer=response.answer, evidence=responder.evidence(query, response))


def question_cell(chaining: PathIndex, question: Question, composed: Mask | None = None) -> str:
    """Return 'id', 'ood' (all facts held out for test), 'validation' (all held out, some for validation), or another.

    Where nothing is held out, but a fact of a chain is in no trained composition, it is 'never_composed'. One with
    facts of several parts is 'mixed', and so is one whose path forks into facts of several parts, since any of its ends
    is a right answer. One whose facts are not in the graph is 'unknown'.
    """
    if not question.facts:
        return "unknown"
    _, facts = chaining.facts_of_pairs(*np.array(question.facts).T[:2])
    parts = set(chaining.graph.part[facts].tolist())
    pure = True
    if question.path:
        head, relations = question.path
        pure = bool(chaining.follow(np.array([head]), np.array([relations]))[1][0])
    if not pure or (Split.TRAIN in parts and len(parts) > 1):
        return "mixed"
    if parts == {Split.TRAIN}:
        alone = composed is not None and question.path and not composed[facts].all()
        return "never_composed" if alone else "id"
    return "ood" if parts == {Split.TEST} else "validation"


def _miss(
    responder: QuestionAnswerer, chaining: PathIndex, question: Question, query: Query | str, response: Response | None
) -> Miss:
    """A question answered wrongly: what was read at each hop, and at which hop it went wrong and why."""
    miss = Miss(id=question.id, question=question.text, expected=question.answer, read=())
    if isinstance(query, str) or response is None:
        cause = f"not understood: {query}" if isinstance(query, str) else "the run was not trained on comparisons"
        return replace(miss, cause=cause)
    return replace(
        miss,
        answer=response.answer,
        read=tuple(responder.label(hop.token) for hop in response.hops),
        cause=_cause(responder, chaining, query, response),
    )


def _cause(responder: QuestionAnswerer, chaining: PathIndex, query: Query, response: Response) -> str:
    """The first hop that follows no fact and why; else that the end or the understanding went wrong."""
    for number, branch in enumerate(query.branches):
        subject = branch.head
        read = [hop.token for hop in response.hops if hop.branch == number]
        for hop, (relation, token) in enumerate(zip(branch.relations, read, strict=False), start=1):
            _, facts = chaining.facts_of_pairs(np.array([subject]), np.array([relation]))
            if token not in chaining.graph.tail[facts]:
                where = f"hop {hop}, {responder.label(subject)} / {chaining.graph.relations[relation]}"
                return f"{where}: {_why(responder.model, chaining, subject, relation)}"
            subject = token
    if query.operator:
        return f"all facts were read rightly, the comparison {query.operator} went wrong"
    return f"all facts were read rightly, but another path was asked for than {query.describe(chaining.graph)}"


def _why(model: Model, chaining: PathIndex, head: int, relation: int) -> str:
    """Why the first hop that went wrong in a chain did so."""
    alone = chaining.answers(np.array([head]), np.array([[relation]]))
    if not len(alone.answers):
        return "there is no such fact, the hop before led elsewhere"
    if are_right(model, Vocabulary.of(chaining.graph), alone)[0]:
        return "answered when asked alone, not within the chain"
    return "the fact itself was not learned"
