"""The graph's own questions, asked in their words; each miss is listed with its cause.

A question is understood by `grokhop.understand`, answered by a model, and scored by the benchmark's rules; one that is
not understood is wrong.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from grokhop.answer import are_right
from grokhop.benchmark import Prediction, exact_match, gold_of, score
from grokhop.chains import Chaining
from grokhop.compare import COMPARED
from grokhop.encode import Vocabulary
from grokhop.errors import InputError
from grokhop.graph import Graph, Part, Question
from grokhop.model import LoopTransformer
from grokhop.query import SAME, Query
from grokhop.respond import Responder, Response
from grokhop.understand import Understander


def score_questions(
    models: Sequence[LoopTransformer], graph: Graph, *, seeds: Sequence[int], words: Graph | None = None
) -> dict[str, Any]:
    """Scores of the graph's questions by type and cell (see `question_cell`), with their misses.

    Questions that compare are asked of models that were trained to.

    Args:
        graph: as the models were trained on it.
        seeds: the seed of each model.
        words: the graph whose names the questions use, without calendar and operators; `graph` if left out.
    """
    compares = SAME in graph.relations
    questions = [q for q in graph.questions if compares or q.type not in COMPARED]
    if not questions:
        return {}
    understander = Understander(words or graph)
    queries = [_understood(understander, question) for question in questions]
    asked = [query for query in queries if isinstance(query, Query)]
    chaining, cells = Chaining(graph), defaultdict(list)
    for i, question in enumerate(questions):
        cells[question.type, question_cell(chaining, question)].append(i)
    responders = [Responder(graph, model) for model in models]
    answered = []
    for responder in responders:
        responses = iter(responder.respond(asked))
        answered.append([next(responses) if isinstance(query, Query) else None for query in queries])
    result: dict[str, Any] = defaultdict(dict)
    for (kind, cell), chosen in sorted(cells.items()):
        golds = [gold_of(graph, questions[i]) for i in chosen]
        predictions = [
            [_prediction(responder, queries[i], responses[i]) for i in chosen]
            for responder, responses in zip(responders, answered, strict=True)
        ]
        misses = [
            {"seed": seed, **_miss(responder, chaining, questions[i], queries[i], responses[i])}
            for seed, responder, responses, predicted in zip(seeds, responders, answered, predictions, strict=True)
            for i, gold, guess in zip(chosen, golds, predicted, strict=True)
            if guess.answer is None or not exact_match(guess.answer, gold.answers)
        ]
        result[kind][cell] = {**score(golds, predictions), "misses": misses}
    return dict(result)


def _understood(understander: Understander, question: Question) -> Query | str:
    """The query of a question, or why it was not understood."""
    try:
        return understander.understand(question.text).query
    except InputError as error:
        return str(error)


def _prediction(responder: Responder, query: Query | str, response: Response | None) -> Prediction:
    if isinstance(query, str) or response is None:
        return Prediction(answer=None)
    return Prediction(answer=response.answer, evidence=responder.evidence(query, response))


def question_cell(chaining: Chaining, question: Question) -> str:
    """'id', 'ood' (all facts held out for test), 'validation' (all held out, some for validation) or 'mixed'.

    A question whose path forks into facts of several parts is 'mixed' too, since any of its ends is a right answer.
    """
    _, facts = chaining.facts_of_pairs(*np.array(question.facts).T[:2])
    parts = set(chaining.graph.part[facts].tolist())
    pure = True
    if question.path:
        head, relations = question.path
        pure = bool(chaining.follow(np.array([head]), np.array([relations]))[1][0])
    if not pure or (Part.TRAIN in parts and len(parts) > 1):
        return "mixed"
    if parts == {Part.TRAIN}:
        return "id"
    return "ood" if parts == {Part.TEST} else "validation"


def _miss(
    responder: Responder, chaining: Chaining, question: Question, query: Query | str, response: Response | None
) -> dict[str, Any]:
    """A question answered wrongly: what was read at each hop, and at which hop it went wrong and why."""
    told = {"id": question.id, "question": question.text, "expected": question.answer}
    if isinstance(query, str) or response is None:
        return {**told, "answer": None, "read": [], "cause": f"not understood: {query}"}
    return {
        **told,
        "answer": response.answer,
        "read": [responder.label(hop.token) for hop in response.hops],
        "cause": _cause(responder, chaining, query, response),
    }


def _cause(responder: Responder, chaining: Chaining, query: Query, response: Response) -> str:
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


def _why(model: LoopTransformer, chaining: Chaining, head: int, relation: int) -> str:
    """Why the first hop that went wrong in a chain did so."""
    alone = chaining.answers(np.array([head]), np.array([[relation]]))
    if not len(alone.answers):
        return "there is no such fact, the hop before led elsewhere"
    if are_right(model, Vocabulary.of(chaining.graph), alone)[0]:
        return "answered when asked alone, not within the chain"
    return "the fact itself was not learned"
