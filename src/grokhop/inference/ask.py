"""Ask a trained run: a question in words or a path, through the finished model of one seed, hop by hop."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from grokhop.core.errors import InputError
from grokhop.core.records import OMITTED, Record
from grokhop.graph.graph import Graph
from grokhop.graph.paths import PathIndex
from grokhop.graph.queries import Query
from grokhop.inference.answering import Hop, QuestionAnswerer
from grokhop.inference.loading import load_model
from grokhop.language.parser import QuestionParser, Understood
from grokhop.models.base import Model
from grokhop.runs.run import Run
from grokhop.tasks.comparison import is_comparable
from grokhop.tasks.rules import rules_of


@dataclass(frozen=True, kw_only=True)
class HopAnswer(Record):
    """The read-out of one position: what it is, by which relation or operator.

    Attributes:
        loop: which hop of its branch this is; the preset `loop` reads it out after so many loops, others at the end.
    """

    branch: int
    position: int
    relation: str
    loop: int
    entity: str
    probability: float


@dataclass(frozen=True, kw_only=True)
class LinkedName(Record):
    """The entity that a name in the words was taken for, by which of its names, and how."""

    name: str
    entity: str
    matched: str
    how: str


@dataclass(frozen=True, kw_only=True)
class Answer(Record):
    """The answer of a model, and what the graph says.

    Attributes:
        in_graph: whether facts of the graph answer the query. observed: whether facts do that nobody made up.
        expected: what they answer. compared: of a comparison, the ends of each branch instead.
        query: labels of the heads, the relations and the operator.
        understood, linked: how the words were taken. trained_hops: the longest chain that was trained.
        control: which control the run is, if it is one.
    """

    hops: tuple[HopAnswer, ...]
    answer: str
    probability: float
    in_graph: bool
    expected: tuple[str, ...]
    compared: tuple[tuple[str, ...], ...] | None
    observed: bool
    query: tuple[str, ...]
    type: str
    understood: str
    linked: tuple[LinkedName, ...]
    trained_hops: int
    control: str | None = field(default=None, metadata=OMITTED)


def ask(path: Path, text: str, *, seed: int = 0, device: str | None = None) -> Answer:
    """Answer `text` with the model of a run.

    Raises:
        InputError: the run cannot be read, the seed has not finished, the text is not understood, or it asks for what
            the run was not trained on.
    """
    run = Run.read(path)
    check_finished(run, seed)
    understood = understand(run, parser_of(run), text)
    return _answered(run, understood, load_model(run, seed, device=device))


def check_finished(run: Run, seed: int) -> None:
    """Refuse a seed whose training has not ended.

    Raises:
        InputError: it has not, or no seed of the run has.
    """
    seeds = run.finished_seeds()
    if seed not in seeds:
        raise InputError(f"seed {seed} of {run.path} has not finished: choose one of {', '.join(map(str, seeds))}")


def parser_of(run: Run) -> QuestionParser:
    """Make what understands words about the graph of a run."""
    return QuestionParser(run.plain_graph, rules=rules_of(run.graph))


def understand(run: Run, parser: QuestionParser, text: str) -> Understood:
    """Read a question or a path that a run was trained to answer.

    Raises:
        InputError: the text is not understood, or it asks for what the run was not trained on.
    """
    understood = parser.understand(text)
    query = understood.query
    if any(branch.asked for branch in query.branches):
        _refuse_untrained_rules(run)
    if query.operator is not None and not is_comparable(run.graph):
        raise InputError(
            "this run was not trained on comparisons, as runs of a graph whose questions compare are; understood was: "
            f"{query.describe(run.graph)} ({query.type})"
        )
    return understood


def _refuse_untrained_rules(run: Run) -> None:
    if run.control == "no-chains":
        raise InputError(f"{run.path} is the control no-chains, which learns no rule: ask by the path itself")
    if not run.manifest["composed"]["rule_rows"]:
        raise InputError(
            f"the rules of {run.path} had no example to be learned from, since questions ask every path of theirs: "
            "train on a graph that 'grokhop augment' has made, or ask by the path itself"
        )


def _answered(run: Run, understood: Understood, model: Model) -> Answer:
    """What the model reads out, and what the graph's facts say."""
    query, graph = understood.query, run.graph
    responder = QuestionAnswerer(graph, model)
    response = responder.respond([query])[0]
    known = _ends(run.plain_graph, query)
    observed = _ends(run.plain_graph.where(run.plain_graph.is_observed), query)
    return Answer(
        hops=tuple(_read_out(responder, hop) for hop in response.hops),
        answer=response.answer,
        probability=response.probability,
        in_graph=all(known),
        expected=known[0] if query.operator is None else (),
        compared=None if query.operator is None else known,
        observed=all(observed),
        query=tuple(_words(graph, query)),
        type=query.type,
        understood=query.describe(graph),
        linked=_linked(graph, understood),
        trained_hops=run.settings.task.hops,
        control=run.control,
    )


def _read_out(responder: QuestionAnswerer, hop: Hop) -> HopAnswer:
    return HopAnswer(
        branch=hop.branch,
        position=hop.position,
        relation=responder.label(hop.asked),
        loop=hop.loop,
        entity=responder.label(hop.token),
        probability=hop.probability,
    )


def _ends(graph: Graph, query: Query) -> tuple[tuple[str, ...], ...]:
    """By facts of the graph, the ends of each branch."""
    chaining = PathIndex(graph)
    found = (chaining.answers(np.array([b.head]), np.array([b.relations])).answers.tolist() for b in query.branches)
    return tuple(tuple(graph.entities[entity].label for entity in ends) for ends in found)


def _words(graph: Graph, query: Query) -> Iterator[str]:
    """The labels of the heads, of the relations and of the operator."""
    for branch in query.branches:
        yield graph.entities[branch.head].label
        yield from (graph.relations[r] for r in branch.relations)
    if query.operator:
        yield query.operator


def _linked(graph: Graph, understood: Understood) -> tuple[LinkedName, ...]:
    return tuple(
        LinkedName(name=name, entity=graph.entities[match.entity].label, matched=match.name, how=match.how.words)
        for name, match in understood.linked
    )
