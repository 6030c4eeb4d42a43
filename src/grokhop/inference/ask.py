"""Ask a trained run: a question in words or a path, through the finished model of one seed, hop by hop."""

from pathlib import Path
from typing import Any

import numpy as np

from grokhop.core.errors import InputError
from grokhop.graph.graph import Graph
from grokhop.graph.paths import PathIndex
from grokhop.graph.queries import Branch, Query
from grokhop.inference.answering import QuestionAnswerer
from grokhop.inference.loading import load_model
from grokhop.language.parser import QuestionParser, Understood
from grokhop.runs.run import Run
from grokhop.tasks.comparison import is_comparable
from grokhop.tasks.rules import rules_of


def ask(path: Path, text: str, *, seed: int = 0) -> dict[str, Any]:
    """Answer `text` with the model of a run.

    Returns:
        `query` (labels of the heads, the relations and the operator), `hops` (what each position read out, by which
        relation or operator, after which loop), the `answer` and its `probability`; `in_graph`, whether facts of the
        graph answer the query, and then the `expected` answers, or of a comparison what is `compared`, the ends of
        each branch; `observed`, whether facts do that nobody made up; `understood` and `linked`, how the words were
        taken; `trained_hops`, the longest chain that was trained.

    Raises:
        InputError: the run cannot be read, the seed has not finished, the text is not understood, or it asks for what
            the run was not trained on.
    """
    run = Run.read(path)
    check_finished(run, seed)
    understood = understand(run, parser_of(run), text)
    return {
        **_answered(run, understood.query, seed),
        **_described(run.graph, understood),
        "trained_hops": run.settings.hops,
    }


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
    if not run.manifest["composed"]["rule_rows"]:
        raise InputError(
            f"the rules of {run.path} had no example to be learned from, since questions ask every path of theirs: "
            "train on a graph that 'grokhop augment' has made, or ask by the path itself"
        )


def _answered(run: Run, query: Query, seed: int) -> dict[str, Any]:
    """What the model reads out, and what the graph's facts say."""
    responder = QuestionAnswerer(run.graph, load_model(run, seed))
    response = responder.respond([query])[0]
    known, observed = (
        [_ends(graph, branch) for branch in query.branches]
        for graph in (run.plain_graph, run.plain_graph.where(run.plain_graph.is_observed))
    )
    return {
        "hops": [
            {
                "branch": hop.branch,
                "position": hop.position,
                "relation": responder.label(hop.asked),
                "loop": hop.loop,
                "entity": responder.label(hop.token),
                "probability": hop.probability,
            }
            for hop in response.hops
        ],
        "answer": response.answer,
        "probability": response.probability,
        "in_graph": all(known),
        "expected": known[0] if query.operator is None else [],
        "compared": None if query.operator is None else known,
        "observed": all(observed),
    }


def _ends(graph: Graph, branch: Branch) -> list[str]:
    found = PathIndex(graph).answers(np.array([branch.head]), np.array([branch.relations]))
    return [graph.entities[entity].label for entity in found.answers.tolist()]


def _described(graph: Graph, understood: Understood) -> dict[str, Any]:
    query = understood.query
    words = [
        word
        for branch in query.branches
        for word in (graph.entities[branch.head].label, *(graph.relations[r] for r in branch.relations))
    ]
    return {
        "query": [*words, *([query.operator] if query.operator else [])],
        "type": query.type,
        "understood": query.describe(graph),
        "linked": [
            {"name": name, "entity": graph.entities[match.entity].label, "matched": match.name, "how": match.how.words}
            for name, match in understood.linked
        ],
    }
